/**
 * The shipper: uploads the outbox, strictly in order per lane and table, with put-if-absent (DESIGN I4).
 *
 * 1. Take the oldest shipment of each lane and table. 2. Put each: `created`, or `exists` – then an earlier try got this far
 * and was killed; same key, same content. 3. Confirm those that succeeded. 4. With `ship.bandwidth`, one at a time, and pause
 * until the rate has let it through. 5. After a failure wait, longer each time and as long as the store asks, and go on for
 * ever: messages wait safely in the log. The store is opened here too, so that an agent starts without a network.
 *
 * | what happens                                    | what it means                        | heals by itself |
 * |-------------------------------------------------|--------------------------------------|-----------------|
 * | 5xx, SlowDown, time-outs, resets, portals       | not known whether it landed: again   | yes             |
 * | an answer that was lost, then 412               | it had landed: confirmed             | yes             |
 * | RequestTimeTooSkewed                            | the next one has the server's time   | yes             |
 * | expired or wrong credentials, denied            | the operator must mend it            | no              |
 * | no such bucket, another region                  | the operator must mend it            | no              |
 * | quota reached                                   | somebody must make room              | no              |
 *
 * What does not heal by itself is tried for ever, too, with the store opened anew, so that renewed credentials are taken up.
 */
import type { Clock } from '@varve/common/clock.js';
import { planBackoffMs } from '@varve/common/backoff.js';
import { formatInboxKey } from '@varve/common/contract/object-keys.js';
import { Failure, systemCodeOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Store } from '@varve/common/store/store.js';
import type { OutboxEntry } from '../log/edge-log.js';
import type { EdgeMetrics } from '../metrics.js';
import { Trouble } from '../trouble.js';
import { Wakeup } from '../wakeup.js';
import { ByteRate } from './byte-rate.js';
import { planUploads, type Outbox } from './outbox.js';
import { UploadGate } from './upload-gate.js';

const uploadsMax = 4;
const uploadBackoff = { firstMs: 1_000, maxMs: 60_000 };
/** Where nobody was reached, a try costs next to nothing; and when the line is back, new data is there within seconds. */
const lineBackoff = { firstMs: 1_000, maxMs: 3_000 };
const lineCodes: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENETDOWN', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'],
]);
/** What a store may ask for. */
const retryAfterMsMax = 900_000;

export interface ShipperState {
  readonly storeReachable: boolean;
  /** Why not, what to do, and whether that heals by itself. */
  readonly problem:
    | { readonly message: string; readonly hint: string | undefined; readonly healsItself: boolean }
    | undefined;
  readonly lastConfirmedMs: number | undefined;
}

export interface ShipperOptions {
  readonly agent: string;
  readonly epoch: string;
  readonly outbox: Outbox;
  /** Makes a shipment again whose file is damaged. */
  readonly remake: (entry: OutboxEntry) => Promise<OutboxEntry>;
  /**
   * Opens the store and proves it; called again until it succeeds, and after what does not heal by itself: then a folder
   * that is gone is not made anew.
   */
  readonly openStore: (mayCreate: boolean) => Promise<Store>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  readonly schedule: string | undefined;
  readonly bytesPerSecondMax: number | undefined;
  /** Nothing waits in the log but the open window. */
  readonly isLogDrained: () => boolean;
  /** A shipment is in the store, and there is more room in the outbox. */
  readonly onConfirmed: () => void;
  /** The store has been opened, or takes shipments again. */
  readonly onReachable: () => void;
}

export class Shipper {
  readonly #options: ShipperOptions;
  readonly #wakeup: Wakeup;
  readonly #gate: UploadGate;
  readonly #rate: ByteRate;
  readonly #trouble = new Trouble();
  #store: Store | undefined;
  #wasOpened = false;
  #state: ShipperState = { storeReachable: false, problem: undefined, lastConfirmedMs: undefined };

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    this.#rate = new ByteRate(options.clock, options.bytesPerSecondMax);
    this.#gate = new UploadGate(options.schedule, () => this.wake());
  }

  /** There may be something in the outbox. */
  wake(): void {
    this.#wakeup.wake();
  }

  state(): ShipperState {
    return this.#state;
  }

  /** The store while it takes what is put. */
  reachableStore(): Store | undefined {
    return this.#state.storeReachable ? this.#store : undefined;
  }

  /** Whether uploads may go now, by the schedule. */
  get isLineOpen(): boolean {
    return this.#gate.isOpen;
  }

  /** Opens the store once, at the start, so that what can never work is said while the operator looks. */
  async #tryStore(): Promise<void> {
    try {
      await this.#openStore();
      this.#recover();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code === 'store_without_put_if_absent' || error.code === 'store_url_invalid') throw error;
      this.#report(error);
    }
  }

  /**
   * Ships until `signal` aborts.
   * @throws Failure `store_without_put_if_absent`, `store_url_invalid`, when that is seen at the start: later the agent
   * would rather keep collecting
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, outbox, isLogDrained } = this.#options;
    await this.#tryStore();
    let attempt = 0;
    while (!signal.aborted) {
      if (!this.#gate.isOpen || outbox.entries.length === 0) {
        if (outbox.entries.length === 0 && isLogDrained()) this.#gate.caughtUp();
        await this.#wakeup.wait(signal);
        continue;
      }
      if (this.#rate.waitMs > 0) {
        await clock.sleep(this.#rate.waitMs, signal);
        continue;
      }
      const failure = await this.#shipOnce();
      if (failure) {
        this.#report(failure);
        await clock.sleep(planRetryMs(failure, ++attempt, random()), signal);
        continue;
      }
      attempt = 0;
    }
    await this.#gate.stop();
    this.#store?.close();
  }

  /** One upload per lane and table. Returns what went wrong, if anything did. */
  async #shipOnce(): Promise<Failure | undefined> {
    const { outbox } = this.#options;
    try {
      const store = await this.#openStore();
      const due = planUploads(outbox.entries, this.#rate.uploadsMax ?? uploadsMax);
      const uploads = due.map((entry) => this.#ship(store, entry));
      const failed = (await Promise.allSettled(uploads)).find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
      this.#recover();
      return undefined;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.kind === 'config') this.#letGoOfStore();
      return error;
    }
  }

  async #ship(store: Store, planned: OutboxEntry): Promise<void> {
    const { agent, epoch, outbox, remake, clock, metrics, onConfirmed } = this.#options;
    const entry = (await outbox.hasWhole(planned)) ? planned : await remake(planned);
    const { lane, database, table, seq, file, bytes } = entry;
    const key = formatInboxKey({ agent, epoch, lane, database, table, seq });
    this.#rate.spend(bytes);
    // `exists`: an earlier attempt got this far and was killed. Same key, same content.
    await store.putIfAbsent(key, { path: outbox.pathOf(file) });
    await outbox.confirm(entry);
    metrics.shipments.inc({ table });
    metrics.shippedBytes.inc(bytes);
    this.#state = { ...this.#state, lastConfirmedMs: clock.nowMs() };
    onConfirmed();
  }

  async #openStore(): Promise<Store> {
    this.#store ??= await this.#options.openStore(!this.#wasOpened);
    this.#wasOpened = true;
    return this.#store;
  }

  /** The next attempt opens it anew: with the credentials and the names that hold then. */
  #letGoOfStore(): void {
    this.#store?.close();
    this.#store = undefined;
  }

  #recover(): void {
    if (this.#trouble.ends()) this.#options.logger.info('shipping goes on');
    if (this.#state.storeReachable && !this.#state.problem) return;
    this.#state = { ...this.#state, storeReachable: true, problem: undefined };
    this.#options.onReachable();
  }

  #report(failure: Failure): void {
    const { message, hint, code } = failure;
    const healsItself = isSelfHealing(failure);
    // Once per change: an outage of a week is not a line a minute.
    if (this.#trouble.begins(failure))
      this.#options.logger.warn(
        { code, reason: message, hint, healsItself },
        'shipments wait: the store does not take them',
      );
    this.#state = { ...this.#state, storeReachable: false, problem: { message, hint, healsItself } };
  }
}

/** A full store is transient where it is written to, but somebody must make room. */
function isSelfHealing({ kind, code }: Failure): boolean {
  return kind === 'transient' && code !== 'disk_full';
}

/** What the store asked for comes on top of the jitter, so that all who were sent away do not come back together. */
export function planRetryMs({ cause, retryAfterMs = 0 }: Failure, attempt: number, random: number): number {
  const backoff = lineCodes.has(systemCodeOf(cause) ?? '') ? lineBackoff : uploadBackoff;
  return Math.min(retryAfterMs, retryAfterMsMax) + planBackoffMs(attempt, backoff, random);
}
