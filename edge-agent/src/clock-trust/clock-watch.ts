/**
 * Watches the wall clock against the monotonic one, and decides from when on it is trusted.
 *
 * 1. Every second: read both. Their difference, the offset, turns monotonic time into the arrival time of messages until the
 * next look, and stands in every block. 2. While the clock is not trusted, `planTrust` decides whether it is now. 3. If so, the
 * pump makes that durable (`settle`), between two windows: windows are made altogether before or altogether after it. From then on
 * every arrival of this boot is known, those before included (`log/boots.ts`).
 *
 * Patience: rows that need an arrival time of this boot wait (`mustWait`) until the clock is trusted, for `clock.patience` at
 * most. It runs from the start, and anew whenever the store has been away with shipments waiting for it: a network that comes
 * back brings the time server too. So of an outage without a trusted clock at most the first windows are taken at the clock's word.
 */
import type { Clock } from '@varve/common/clock.js';
import { isFailure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { unknownClock, type BlockClock } from '../log/block.js';
import type { BootState } from '../log/boots.js';
import type { EdgeLog } from '../log/edge-log.js';
import type { ClockConfig } from './clock-config.js';
import { planTrust, stepMsMin, type ClockEvidence, type TrustBasis } from './plan-trust.js';

const lookEveryMs = 1_000;
/** Two clocks are read one after the other: once more, if the process was held up in between. */
const readingMsMax = 2;
const readingsMax = 5;

/** When messages come. */
export interface ArrivalClock {
  /** Wall clock, whole ms since 1970 UTC, which does not jump but at a look. */
  nowMs(): number;
  /** What `nowMs` is read from. */
  blockClock(): BlockClock;
}

/** Holds back what needs an arrival time that is not known yet. */
export interface ArrivalGate {
  /** Something may have to wait. */
  readonly isClosed: boolean;
  /** Whether arrival times of this boot are worth waiting for. */
  mustWait(boot: number): boolean;
  /**
   * Makes it durable that the clock is trusted, if it has come to be. True where that was so: everything that was read from the
   * log and is in no shipment must be read again. @throws Failure `disk_full`
   */
  settle(): Promise<boolean>;
  /** The wall clock where it is trusted. */
  trustedNowMs(): number | undefined;
}

export interface ClockFacts {
  readonly state: 'trusted' | 'waiting' | 'untrusted';
  readonly basis: TrustBasis | undefined;
  /** Wall clock at that moment. */
  readonly trustedSinceMs: number | undefined;
  /** Why it is not trusted. */
  readonly reason: string | undefined;
  /** Jumps of the wall clock since the start. */
  readonly steps: number;
  readonly lastStep: { readonly whenMs: number; readonly byMs: number } | undefined;
}

export interface ClockWatchOptions {
  readonly config: ClockConfig;
  readonly bootId: string;
  readonly log: Pick<EdgeLog, 'beginBoot' | 'trustBoot'>;
  readonly clock: Clock;
  readonly readEvidence: () => Promise<ClockEvidence>;
  /** It takes nothing, and there are shipments for it. */
  readonly isStoreAway: () => boolean;
  /** What waited may go on, or `settle` has something to do. */
  readonly onChange: () => void;
  readonly logger: Logger;
}

export class ClockWatch implements ArrivalClock, ArrivalGate {
  readonly #options: ClockWatchOptions;
  #blockClock: BlockClock;
  #boot: BootState | undefined;
  #basis: TrustBasis | undefined;
  #reason: string | undefined;
  #isTrusted = false;
  #trustedSinceMs: number | undefined;
  #patientUntilMs: number;
  #isPatient = true;
  #steps = 0;
  #lastStep: ClockFacts['lastStep'];

  constructor(options: ClockWatchOptions) {
    this.#options = options;
    this.#blockClock = { ...unknownClock, offsetMs: readOffsetMs(options.clock) };
    this.#patientUntilMs = options.clock.monotonicMs() + options.config.patienceMs;
  }

  nowMs(): number {
    return Math.floor(this.#options.clock.monotonicMs()) + this.#blockClock.offsetMs;
  }

  blockClock(): BlockClock {
    return this.#blockClock;
  }

  trustedNowMs(): number | undefined {
    return this.#isTrusted ? this.nowMs() : undefined;
  }

  get isClosed(): boolean {
    return !this.#isTrusted && this.#isPatient;
  }

  mustWait(boot: number): boolean {
    return this.isClosed && boot === this.#boot?.boot;
  }

  async settle(): Promise<boolean> {
    const boot = this.#boot?.boot;
    if (this.#isTrusted || this.#basis === undefined || boot === undefined) return false;
    const { offsetMs } = this.#blockClock;
    await this.#options.log.trustBoot({ boot, offsetMs, trustedMs: this.nowMs() });
    this.#noteTrusted(this.#basis);
    return true;
  }

  /** Until `signal` aborts. The first look is `look`, before anything comes. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      await clock.sleep(lookEveryMs, signal);
      if (signal.aborted) return;
      await this.look();
    }
  }

  async look(): Promise<void> {
    const wasSet = this.#readClock();
    if (!this.#boot) await this.#begin();
    this.#countPatience();
    if (!this.#isTrusted && this.#basis === undefined) await this.#decide(wasSet);
  }

  facts(): ClockFacts {
    const common = { steps: this.#steps, lastStep: this.#lastStep, trustedSinceMs: this.#trustedSinceMs };
    if (this.#isTrusted) return { ...common, state: 'trusted', basis: this.#basis, reason: undefined };
    const state = this.#isPatient ? 'waiting' : 'untrusted';
    return { ...common, state, basis: undefined, reason: this.#reason };
  }

  /** True when the wall clock has jumped since the last look. */
  #readClock(): boolean {
    const { clock, logger } = this.#options;
    const offsetMs = readOffsetMs(clock);
    const byMs = offsetMs - this.#blockClock.offsetMs;
    if (Math.abs(byMs) <= readingMsMax) return false;
    this.#blockClock = { ...this.#blockClock, offsetMs };
    if (Math.abs(byMs) < stepMsMin) return false;
    this.#steps++;
    this.#lastStep = { whenMs: this.nowMs(), byMs };
    logger.warn({ seconds: byMs / 1_000, isTrusted: this.#isTrusted }, 'the wall clock was set');
    return true;
  }

  /** A full disk must not keep the agent from starting: until it has room, the boot has no number and nothing waits. */
  async #begin(): Promise<void> {
    const { log, bootId, logger } = this.#options;
    try {
      this.#boot = await log.beginBoot(bootId);
      this.#blockClock = { ...this.#blockClock, boot: this.#boot.boot };
    } catch (error) {
      if (!isFailure(error, 'disk_full')) throw error;
      if (this.#reason === undefined)
        logger.warn(
          { reason: error.message },
          'the boot cannot be written down: nothing waits for the clock',
        );
      this.#reason = `the boot cannot be written down: ${error.message}`;
    }
  }

  #countPatience(): void {
    const { clock, config, isStoreAway, onChange } = this.#options;
    const nowMs = clock.monotonicMs();
    if (isStoreAway()) this.#patientUntilMs = nowMs + config.patienceMs;
    const isPatient = nowMs < this.#patientUntilMs;
    if (isPatient === this.#isPatient) return;
    this.#isPatient = isPatient;
    if (!isPatient && !this.#isTrusted) this.#warn('patience is over: arrival times are what the clock says');
    onChange();
  }

  async #decide(wasSet: boolean): Promise<void> {
    const { readEvidence, config, onChange } = this.#options;
    if (!this.#boot) return;
    const { offsetMs, trustedMs } = this.#boot;
    const reading = { ...(await readEvidence()), wallMs: this.nowMs(), wasSet };
    const memory = { wasTrusted: offsetMs !== null, trustedMs: trustedMs ?? undefined };
    const { basis, reason } = planTrust(reading, memory, config.trust);
    if (basis === undefined) {
      const isNews = this.#reason === undefined;
      this.#reason = reason;
      if (isNews) this.#warn('rows that need an arrival time wait for it');
    } else if (offsetMs !== null) this.#noteTrusted(basis);
    else {
      this.#basis = basis;
      onChange();
    }
  }

  #noteTrusted(basis: TrustBasis): void {
    this.#basis = basis;
    this.#reason = undefined;
    this.#isTrusted = true;
    this.#trustedSinceMs = this.nowMs();
    this.#blockClock = { ...this.#blockClock, isTrusted: true };
    this.#options.logger.info({ basis }, 'the wall clock is trusted');
  }

  #warn(what: string): void {
    this.#options.logger.warn({ reason: this.#reason }, `the wall clock is not trusted: ${what}`);
  }
}

/** Wall clock minus monotonic clock, whole ms. */
export function readOffsetMs(clock: Pick<Clock, 'nowMs' | 'monotonicMs'>): number {
  for (let reading = 1; ; reading++) {
    const beforeMs = clock.monotonicMs();
    const wallMs = clock.nowMs();
    if (clock.monotonicMs() - beforeMs <= readingMsMax || reading === readingsMax)
      return Math.round(wallMs - beforeMs);
  }
}
