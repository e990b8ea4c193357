/**
 * A program as a service manager keeps it: started again whenever it ends, until told otherwise. What it says goes to a
 * file. Ends that nobody asked for are counted: a fault in the world around a program should not end it.
 */
import { appendFileSync } from 'node:fs';
import { systemClock } from '@varve/common/clock.js';
import type { Exit, Owner, TestProcess } from '../processes.js';

const restartAfterMs = 500;

export interface SupervisedOptions {
  readonly name: string;
  readonly start: () => TestProcess;
  readonly outputPath: string;
  /** What it says when it has started: from then on it must not end by itself. Absent: it must not at all. */
  readonly startedText?: string;
}

/** Of a program that cannot start. Both mean: the world is not as it should be, start me again later. */
const expectedExitCodes: readonly (number | null)[] = [75, 78];

export class Supervised {
  readonly name: string;
  /** What a program said last before it ended by itself, other than at its start with the exit code "later". */
  readonly crashes: string[] = [];
  readonly #options: SupervisedOptions;
  #process: TestProcess | undefined;
  #isWanted = false;

  constructor(owner: Owner, options: SupervisedOptions) {
    // What its owner kills at the end would be started again.
    owner.after(() => this.kill());
    this.#options = options;
    this.name = options.name;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning ?? false;
  }

  start(): void {
    this.#isWanted = true;
    if (this.isRunning) return;
    const started = this.#options.start();
    this.#process = started;
    void started.exited.then((exit) => this.#ended(started, exit));
  }

  /** Only where nobody wants it down. */
  restart(): void {
    if (this.#isWanted) this.start();
  }

  /** It stays down until `start`. */
  async kill(): Promise<void> {
    this.#isWanted = false;
    await this.#process?.kill();
  }

  /** SIGTERM. It stays down until `start`. @throws if it does not end in time */
  async stop(): Promise<void> {
    this.#isWanted = false;
    if (this.isRunning) await this.#process?.stop('SIGTERM', 30_000);
  }

  freeze(): void {
    this.#process?.signal('SIGSTOP');
  }

  thaw(): void {
    this.#process?.signal('SIGCONT');
  }

  async #ended(ended: TestProcess, { code, signal }: Exit): Promise<void> {
    const { outputPath, startedText } = this.#options;
    appendFileSync(outputPath, `${ended.output}\n--- ended with ${signal ?? code ?? 'nothing'}\n`);
    if (!this.#isWanted) return;
    const wasStarting = startedText !== undefined && !ended.output.includes(startedText);
    if (!wasStarting || !expectedExitCodes.includes(code))
      this.crashes.push(
        `${this.name} ended with ${signal ?? code ?? 'nothing'}:\n${ended.output.slice(-2_000)}`,
      );
    await systemClock.sleep(restartAfterMs);
    // Meanwhile somebody else may have started it.
    if (this.#process === ended) this.restart();
  }

  /** Writes what a process that still runs has said. */
  flushOutput(): void {
    if (this.isRunning && this.#process) appendFileSync(this.#options.outputPath, this.#process.output);
  }
}
