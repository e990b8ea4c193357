/**
 * Who may run now. Quick and slow queries wait in lines of their own, so that no slow one ever stands before a quick one.
 *
 * 1. A query that reads much, or sends everything it finds, is slow. All others are quick, as long as they take less than
 *    `quickMsMax`: then they give their place to the next, and go on.
 * 2. DuckDB's calls block threads of libuv's pool: as many as there are but one, which stays free for files. Slow queries
 *    have at most half of them.
 *
 * Bounds: `insideMax` queries at a time, and lines that are full turn away.
 */
import { Failure } from '@varve/common/errors.js';
import type { Clock } from '@varve/common/clock.js';
import { Gate } from '../gate.js';
import type { QueryRequest } from './query-plan.js';

export type Lane = 'quick' | 'slow';

/** DuckDB works at one query with all cores; more at a time only share them. */
const quickMax = 8;
const slowMax = 3;
/** With quick ones that turned out to be slow. */
export const insideMax = 16;
export const waitingMax = 512;
const quickMsMax = 1_000;
/** What one core decodes in about half a second. */
export const quickBytesMax = 64e6;

export class QueryLanes {
  readonly #slots = new Gate(insideMax);
  readonly #places = { quick: new Gate(quickMax, waitingMax), slow: new Gate(slowMax, waitingMax) };
  readonly #calls: { readonly quick: Gate; readonly slow: Gate };
  readonly #clock: Clock;

  /** @param blockingThreads of libuv's pool */
  constructor(clock: Clock, blockingThreads: number) {
    this.#clock = clock;
    const callsMax = Math.max(2, blockingThreads - 1);
    const slowCallsMax = Math.floor(callsMax / 2);
    this.#calls = { quick: new Gate(callsMax - slowCallsMax), slow: new Gate(slowCallsMax) };
  }

  get running(): number {
    return this.#slots.inside;
  }

  get waiting(): number {
    return this.#places.quick.waiting + this.#places.slow.waiting + this.#slots.waiting;
  }

  calls(lane: Lane): Gate {
    return this.#calls[lane];
  }

  /** @throws Failure `overloaded`, or the reason of `signal` */
  async enter(lane: Lane, signal: AbortSignal): Promise<() => void> {
    const place = this.#places[lane];
    if (place.isFull) throw overloaded(lane);
    const leavePlace = once(await place.enter(signal));
    try {
      const leaveSlot = await this.#slots.enter(signal);
      const stayPut = lane === 'quick' ? this.#clock.after(quickMsMax, leavePlace) : undefined;
      return () => {
        stayPut?.();
        leavePlace();
        leaveSlot();
      };
    } catch (error) {
      leavePlace();
      throw error;
    }
  }
}

/** @param bytes that it reads */
export function laneOf({ rowsMax }: QueryRequest, bytes: number): Lane {
  return bytes > quickBytesMax || rowsMax === Number.POSITIVE_INFINITY ? 'slow' : 'quick';
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}

function overloaded(lane: Lane): Failure {
  return new Failure('overloaded', `${waitingMax} ${lane} queries are waiting`, {
    hint: 'ask again in a moment',
  });
}
