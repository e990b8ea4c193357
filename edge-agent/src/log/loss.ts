/**
 * Losses: what was acknowledged and will not be a row, or not the row it was (DESIGN I3). Every one is a row of the loss
 * ledger, written in the transaction that loses it.
 *
 *     evicted               messages that were dropped because the buffer's bound was reached
 *     dead_letter           messages that no stream could read; they are kept as dead letters for a while
 *     dead_letters_dropped  dead letters forgotten because there were too many: counted as `dead_letter` before
 *     replayed              dead letters that became messages again, and so may become dead letters again
 *     set_aside             stored bytes that turned out to be unreadable
 *     clock_corrected       messages whose arrival time is a row's time, and was put right
 *     clock_untrusted       messages whose arrival time is a row's time, and is what a clock said that nobody trusts; one row
 *                           for each boot, stream and start of the agent: later messages of that boot are not counted
 *
 * So `evicted`, `dead_letter` and `set_aside` together, less `replayed`, are the messages that are in no table.
 */
import type { DeadLetter } from './edge-log.js';

export const lossKinds = [
  'evicted',
  'dead_letter',
  'dead_letters_dropped',
  'replayed',
  'set_aside',
  'clock_corrected',
  'clock_untrusted',
] as const;
export type LossKind = (typeof lossKinds)[number];

export interface Loss {
  readonly whenMs: number;
  readonly kind: LossKind;
  /** Null where no stream is concerned, or none alone. */
  readonly stream: string | null;
  /** The range of the log it lies in; not every message in between is lost. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Arrival of the first and the last message, where known. */
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  /** Messages, and their bytes: topics and payloads, as far as known. */
  readonly count: number;
  readonly bytes: number;
  /** For people. */
  readonly reason: string;
}

export interface LedgerRow extends Loss {
  readonly id: number;
  /**
   * The row's time in the table: unique for each, so that no row replaces another (I7). The milliseconds of `whenMs`, and
   * the row's number modulo 1,000 as microseconds.
   */
  readonly timeUs: number;
}

/** Of the whole life of this database. */
export interface LossTotal {
  readonly kind: LossKind;
  readonly count: number;
  readonly bytes: number;
  readonly lastMs: number;
  readonly lastReason: string;
}

export interface LossFacts {
  readonly totals: readonly LossTotal[];
  /** In no shipment yet. */
  readonly waitingRows: number;
}

/** One loss for each stream and code of these letters. */
export function lossesOfDeadLetters(letters: readonly DeadLetter[], whenMs: number): Loss[] {
  return groupBy(letters, ({ code, stream }) => `${code} ${stream ?? ''}`).map((all) => {
    const reason = `${all[0]?.code ?? ''}: ${all[0]?.reason ?? ''}`.slice(0, reasonCharsMax);
    return { ...extentOf(all), whenMs, kind: 'dead_letter', reason };
  });
}

/** `letters` are of one stream, not empty. */
export function lossOfReplayed(letters: readonly DeadLetter[], whenMs: number): Loss {
  return { ...extentOf(letters), whenMs, kind: 'replayed', reason: 'these dead letters are messages again' };
}

function extentOf(letters: readonly DeadLetter[]): Omit<Loss, 'whenMs' | 'kind' | 'reason'> {
  const seqs = letters.map(({ seq }) => seq);
  const times = letters.map(({ arrivedMs }) => arrivedMs);
  return {
    stream: letters[0]?.stream ?? null,
    ...{ firstSeq: least(seqs), lastSeq: most(seqs), firstMs: least(times), lastMs: most(times) },
    ...{ count: letters.length, bytes: letters.reduce((sum, letter) => sum + letterBytes(letter), 0) },
  };
}

/** A reason quotes what a sensor sent: not all of it. */
const reasonCharsMax = 500;

function letterBytes({ topic, payload }: DeadLetter): number {
  return Buffer.byteLength(topic) + payload.length;
}

/** One row for all of them: the newest, with the counts and ranges of all. `rows` are of one kind and stream, not empty. */
export function mergeRows(rows: readonly LedgerRow[]): LedgerRow {
  const newest = rows.reduce((a, b) => (b.id > a.id ? b : a));
  const firstTimes = rows.flatMap(({ firstMs }) => firstMs ?? []);
  const lastTimes = rows.flatMap(({ lastMs }) => lastMs ?? []);
  return {
    ...newest,
    firstSeq: least(rows.map(({ firstSeq }) => firstSeq)),
    lastSeq: most(rows.map(({ lastSeq }) => lastSeq)),
    firstMs: firstTimes.length === 0 ? null : least(firstTimes),
    lastMs: lastTimes.length === 0 ? null : most(lastTimes),
    count: rows.reduce((sum, { count }) => sum + count, 0),
    bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return [...groups.values()];
}

/** Whether a row holds what a ledger row can: a damaged one may hold anything. */
export function isWholeLoss({ kind, stream, reason, firstMs, lastMs, ...numbers }: Loss): boolean {
  const { whenMs, firstSeq, lastSeq, count, bytes } = numbers;
  return (
    lossKinds.includes(kind) &&
    typeof reason === 'string' &&
    (stream === null || typeof stream === 'string') &&
    [firstMs, lastMs].every((value) => value === null || Number.isSafeInteger(value)) &&
    [whenMs, firstSeq, lastSeq, count, bytes].every((value) => Number.isSafeInteger(value) && value >= 0)
  );
}

// Not Math.min(...values): thousands of arguments overflow the stack.
function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}
