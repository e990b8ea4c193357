/**
 * What is under way in a simulated world, and the virtual clock. Nothing happens by itself: everything that takes time in
 * reality is an effect or a timer here, and the schedule decides which comes next.
 */
import type { Clock } from '@varve/common/clock.js';

/** What belongs to the agent's process is gone when that is killed; what is on the network is not. */
export type Owner = 'agent' | 'world';

interface Effect {
  readonly what: string;
  readonly owner: Owner;
  /** Effects of one line keep their order. */
  readonly line: string | undefined;
  readonly run: () => void;
}

interface Timer {
  readonly dueMs: number;
  readonly fire: () => void;
}

/** What simulated parts throw when the product did what it must never do. It ends the schedule. */
export class Violation extends Error {}

export const sights = [
  'killed',
  'power cut',
  'stopped in order',
  'connection cut',
  'session lost',
  'sent again',
  'known again',
  'put arrived late',
  'put found its key taken',
  'write refused',
  'evicted',
  'recent blocks released',
  'newest data first',
  'dead letter',
  'dead letter replayed',
  'shipment made again',
  'rows left out',
] as const;
export type Sight = (typeof sights)[number];

/** Longer waits end by being woken, or never. */
const foreverMs = 1e9;
/** Of the virtual wall clock when a schedule begins: 2026-11-22. */
export const beginsMs = 1_795_305_600_000;

export class Effects {
  /** Lines for people; undefined: none are kept. */
  readonly trace: string[] | undefined;
  violation: Error | undefined;
  /** What happened that not every schedule has: for the proof that the schedules reach what they are meant to reach. */
  readonly seen = new Set<Sight>();
  /** Which life of the agent this is: what was asked for in an earlier one is answered to nobody. */
  life = 1;
  #pending: Effect[] = [];
  #timers: Timer[] = [];
  #nowMs = 0;
  #wallOffsetMs = beginsMs;

  constructor(isTraced: boolean) {
    this.trace = isTraced ? [] : undefined;
  }

  readonly clock: Clock = {
    nowMs: () => this.#nowMs + this.#wallOffsetMs,
    monotonicMs: () => this.#nowMs,
    sleep: (ms, signal) => this.#sleep(ms, signal),
    after: (ms, work) => this.#after(ms, work),
  };

  note(what: string): void {
    this.trace?.push(`${String(this.#nowMs).padStart(8)} ms  ${what}`);
  }

  /** The product broke a promise. */
  violate(what: string): never {
    this.note(`VIOLATION: ${what}`);
    this.violation ??= new Violation(what);
    throw this.violation;
  }

  /** `run` happens at some time, after what was queued in the same line before. */
  queue(what: string, owner: Owner, run: () => void, line?: string): void {
    this.#pending.push({ what, owner, line, run });
  }

  /** Something the agent asks for, and hears of at once when it is done. */
  ask<T>(what: string, work: () => T, line?: string): Promise<T> {
    return this.#request(what, work, line, (_, end) => end());
  }

  /** The same, but between the moment it is done and the one that the agent hears of it, other things may happen. */
  call<T>(what: string, work: () => T, line?: string): Promise<T> {
    const answerLine = line === undefined ? undefined : `${line} answers`;
    return this.#request(what, work, line, (answer, end) => this.queue(answer, 'agent', end, answerLine));
  }

  #request<T>(
    what: string,
    work: () => T,
    line: string | undefined,
    settle: (answer: string, end: () => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = () => {
        try {
          const result = work();
          settle(`${what}: done`, () => resolve(result));
        } catch (error) {
          if (error instanceof Violation) throw error;
          this.note(`${what}: ${String(error)}`);
          const failure = error instanceof Error ? error : new Error(String(error));
          settle(`${what}: failed`, () => reject(failure));
        }
      };
      this.queue(what, 'agent', run, line);
    });
  }

  get isAnyPending(): boolean {
    return this.#pending.length > 0;
  }

  get isAnyTimer(): boolean {
    return this.#timers.length > 0;
  }

  /** Does one of those that may come next. */
  runOne(random: () => number): void {
    const seen = new Set<string>();
    const ready = this.#pending.filter(({ line }) => {
      if (line === undefined) return true;
      if (seen.has(line)) return false;
      seen.add(line);
      return true;
    });
    const effect = ready[Math.floor(random() * ready.length)];
    if (!effect) return;
    this.#pending.splice(this.#pending.indexOf(effect), 1);
    this.note(effect.what);
    effect.run();
  }

  /** Time passes until one of the timers is due. */
  fireOne(random: () => number): void {
    const [timer] = this.#timers.splice(Math.floor(random() * this.#timers.length), 1);
    if (!timer) return;
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
    timer.fire();
  }

  passTime(ms: number): void {
    this.#nowMs += ms;
    this.note(`${ms} ms pass`);
  }

  setWallClock(byMs: number): void {
    this.#wallOffsetMs += byMs;
    this.note(`the wall clock is set by ${byMs} ms`);
  }

  /** What `line` carries never arrives. */
  cut(line: string): void {
    this.#pending = this.#pending.filter((effect) => effect.line !== line);
  }

  /** The process is gone: nobody hears of anything it asked for. */
  kill(): void {
    this.#pending = this.#pending.filter(({ owner }) => owner !== 'agent');
    this.#timers = [];
    this.life++;
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        callOff();
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const callOff = this.#after(ms, end);
      signal?.addEventListener('abort', end);
    });
  }

  #after(ms: number, work: () => void): () => void {
    const callOff = () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
    const fire = () => {
      callOff();
      work();
    };
    const timer: Timer = { dueMs: this.#nowMs + ms, fire };
    if (ms < foreverMs) this.#timers.push(timer);
    return callOff;
  }
}
