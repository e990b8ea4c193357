/**
 * Which days of a table have been kept long enough. Pure.
 *
 * Whole days go, when their last instant is older than `retainMs`. How old it is says the newest row or the wall clock,
 * whichever is less: a clock that runs ahead, or a sensor with a date of the future, alone deletes nothing.
 */
import type { DataFile } from '../delta/snapshot.js';

export interface ExpiredDays {
  /** The first day that stays, `YYYY-MM-DD`. */
  readonly keptFrom: string;
  /** In order. */
  readonly days: readonly string[];
  readonly files: readonly DataFile[];
  readonly rowCount: number;
  readonly bytes: number;
}

export function planRetention(files: Iterable<DataFile>, retainMs: number, nowMs: number): ExpiredDays {
  const all = [...files];
  const newestMs = all.reduce((newest, { maxTimeUs }) => Math.max(newest, maxTimeUs / 1_000), -Infinity);
  const ageMs = Math.min(newestMs, nowMs) - retainMs;
  const keptFrom = Number.isFinite(ageMs) ? new Date(Math.max(ageMs, 0)).toISOString().slice(0, 10) : '';
  const expired = all.filter(({ day }) => day < keptFrom);
  return {
    keptFrom,
    days: [...new Set(expired.map(({ day }) => day))].sort(),
    files: expired,
    rowCount: expired.reduce((sum, { rowCount }) => sum + rowCount, 0),
    bytes: expired.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
