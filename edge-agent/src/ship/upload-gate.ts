/**
 * When uploads may begin: always, or at the times of a schedule ("02:00 over the modem"). Once open, the gate stays open
 * until everything that waited is in the store.
 */
import { createRequire } from 'node:module';
import type { ScheduledTask } from 'node-cron';

const require = createRequire(import.meta.url);
/** Loaded only where there is a schedule, and without waiting. */
const loadCron = () => require('node-cron') as typeof import('node-cron');

/** A cron expression of five fields, or six with seconds first. */
export function isCronExpression(text: string): boolean {
  return loadCron().validate(text);
}

export class UploadGate {
  readonly #task: ScheduledTask | undefined;
  #isOpen: boolean;

  /** Without a schedule it is always open. Times are those of the machine's time zone. */
  constructor(schedule: string | undefined, onOpen: () => void) {
    this.#isOpen = schedule === undefined;
    if (schedule === undefined) return;
    this.#task = loadCron().schedule(schedule, () => {
      this.#isOpen = true;
      onOpen();
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Everything is shipped: with a schedule, nothing goes until its next time. */
  caughtUp(): void {
    if (this.#task) this.#isOpen = false;
  }

  async stop(): Promise<void> {
    await this.#task?.destroy();
  }
}
