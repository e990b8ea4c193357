/**
 * Newest data first after an outage (`ship.live_first`). Pure.
 *
 * The live lane reads the log in order. When its window is full or cannot be closed, and its messages came long ago, there
 * was an outage: the lane jumps to the log's end, and what it jumped over becomes a range of the backlog, which
 * a second reader ships in a lane of its own. Ranges lie below the live position, in order, and never touch.
 */
import type { LogRange } from '../log/edge-log.js';

export const liveLane = 'live';
export const backlogLane = 'backlog';
export type ShippingLane = typeof liveLane | typeof backlogLane;

/** With more, the live lane reads on: each is a row of the log, and a thing to explain. */
const rangesMax = 64;
const staleMsMin = 60_000;
/** A start or a short cut is no outage: its messages go in the order they came. */
const outageMsMin = 20_000;
/** Of `ship.max_rows` messages, some seconds of a small gateway's work; or as many as the live lane has in the outbox. */
const windowsBehindMax = 4;

export interface LiveState {
  readonly liveFirst: boolean;
  readonly everyMs: number;
  /** It takes no more: it is full, or waits for room in the outbox. */
  readonly isWindowStuck: boolean;
  /** Of the window's first message, by the wall clock: a clock that was wrong costs a jump, nothing else. */
  readonly arrivedMs: number;
  readonly nowMs: number;
  readonly rangeCount: number;
}

export function planJump(state: LiveState): boolean {
  const { liveFirst, everyMs, isWindowStuck, arrivedMs, nowMs, rangeCount } = state;
  const isStale = nowMs - arrivedMs > staleMsOf(everyMs);
  return liveFirst && isWindowStuck && isStale && rangeCount < rangesMax;
}

/** The store takes shipments again: new messages do not wait for what came since the live lane had no more room. */
export function planJumpAtReturn(state: Omit<LiveState, 'isWindowStuck'>): boolean {
  const { liveFirst, everyMs, arrivedMs, nowMs, rangeCount } = state;
  const outageMs = Math.max(outageMsMin, windowsBehindMax * everyMs);
  return liveFirst && nowMs - arrivedMs > outageMs && rangeCount < rangesMax;
}

export interface CatchUpState {
  readonly liveFirst: boolean;
  readonly rowsMax: number;
  /** In the log, behind the window that is full. */
  readonly messagesBehind: number;
  readonly rangeCount: number;
}

/** A flood that is not old is jumped over as well, when it would keep new messages waiting for several windows. */
export function planCatchUp({ liveFirst, rowsMax, messagesBehind, rangeCount }: CatchUpState): boolean {
  return liveFirst && messagesBehind > windowsBehindMax * rowsMax && rangeCount < rangesMax;
}

/** How old messages are that came before an outage. */
export function staleMsOf(everyMs: number): number {
  return Math.max(staleMsMin, 6 * everyMs);
}

/** A range that begins where the last one ends makes that one longer. */
export function addRange(ranges: readonly LogRange[], added: LogRange): LogRange[] {
  const last = ranges.at(-1);
  if (last?.endSeq !== added.firstSeq) return [...ranges, added];
  return [...ranges.slice(0, -1), { firstSeq: last.firstSeq, endSeq: added.endSeq }];
}

/** What is left when everything before `nextSeq` is in shipments. */
export function advanceRanges(ranges: readonly LogRange[], nextSeq: number): LogRange[] {
  return ranges
    .filter(({ endSeq }) => endSeq > nextSeq)
    .map(({ firstSeq, endSeq }) => ({ firstSeq: Math.max(firstSeq, nextSeq), endSeq }));
}

export function countMessages(ranges: readonly LogRange[]): number {
  return ranges.reduce((sum, { firstSeq, endSeq }) => sum + endSeq - firstSeq, 0);
}

/** In order, those that touch or overlap as one. */
export function joinRanges(ranges: readonly LogRange[]): LogRange[] {
  const joined: LogRange[] = [];
  for (const { firstSeq, endSeq } of ranges.toSorted((a, b) => a.firstSeq - b.firstSeq)) {
    const last = joined.at(-1);
    if (last && firstSeq <= last.endSeq)
      joined[joined.length - 1] = { firstSeq: last.firstSeq, endSeq: Math.max(last.endSeq, endSeq) };
    else joined.push({ firstSeq, endSeq });
  }
  return joined;
}
