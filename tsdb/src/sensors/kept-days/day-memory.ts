/**
 * Rows of whole days that were asked for, kept for the next time. Bound: `bytesMax`, the longest unused question goes first.
 *
 * Rows of a day are those of its files, which never change: they hold as long as the day has the same files. So nothing needs
 * to be told of commits, compactions, deletes or earlier versions of a table.
 */
import type { DataFile } from '../../delta/snapshot.js';
import type { SeriesRows } from './series-rows.js';

/** `undefined`: it must be read. */
export type FoundDay = readonly SeriesRows[] | undefined;

interface KeptDay {
  readonly files: ReadonlySet<string>;
  readonly series: readonly SeriesRows[];
  readonly bytes: number;
}

interface KeptQuestion {
  readonly days: Map<number, KeptDay>;
  /** The shortest window that had too many rows. */
  tooLongMs: number;
}

/** Of what is not in arrays, about. */
const [questionBytes, seriesBytes] = [1_000, 500];

export class DayMemory {
  readonly #bytesMax: number;
  /** Longest unused first. */
  readonly #questions = new Map<string, KeptQuestion>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param key of table, columns, fields and tags @param day since 1970 @param files of the day, now */
  get(key: string, day: number, files: readonly DataFile[]): FoundDay {
    const kept = this.#questions.get(key)?.days.get(day);
    if (kept?.files.size !== files.length || !files.every(({ path }) => kept.files.has(path)))
      return undefined;
    return kept.series;
  }

  isTooLong(key: string, windowMs: number): boolean {
    const question = this.#questions.get(key);
    return question !== undefined && windowMs >= question.tooLongMs;
  }

  /** To be called for every question, so that it is known which is the longest unused. */
  use(key: string): void {
    const question = this.#questions.get(key);
    if (!question) return;
    this.#questions.delete(key);
    this.#questions.set(key, question);
  }

  put(key: string, day: number, files: readonly DataFile[], series: readonly SeriesRows[]): void {
    const { days } = this.#questionOf(key);
    const bytes = bytesOf(series) + files.length * seriesBytes;
    this.#bytes += bytes - (days.get(day)?.bytes ?? 0);
    days.set(day, { files: new Set(files.map(({ path }) => path)), series, bytes });
    this.#evict();
  }

  putTooLong(key: string, windowMs: number): void {
    const question = this.#questionOf(key);
    question.tooLongMs = Math.min(question.tooLongMs, windowMs);
    this.#evict();
  }

  #questionOf(key: string): KeptQuestion {
    const found = this.#questions.get(key);
    if (found) return found;
    const made = { days: new Map<number, KeptDay>(), tooLongMs: Number.POSITIVE_INFINITY };
    this.#questions.set(key, made);
    this.#bytes += questionBytes + key.length;
    return made;
  }

  #evict(): void {
    for (const [key, { days }] of this.#questions) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#questions.delete(key);
      this.#bytes -= questionBytes + key.length;
      for (const { bytes } of days.values()) this.#bytes -= bytes;
    }
  }
}

function bytesOf(series: readonly SeriesRows[]): number {
  return series.reduce(
    (sum, { timesUs, values }) => sum + seriesBytes + 8 * timesUs.length * (1 + values.length),
    0,
  );
}
