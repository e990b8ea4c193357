/**
 * Answers questions of `/api/v1/range` about few rows from memory, where dashboards ask again and again.
 *
 *     days of the question ──▶ kept, with the same files? ──▶ rows ──▶ computed ──▶ answer
 *                                  │ no                        ▲
 *                                  └──▶ one query for all ─────┘ kept, where the day is over
 *
 * 1. A day that is over is read whole, and kept (`day-memory.ts`). Of a day that still grows only what is asked for is read, every
 *    time: its files change with every shipment.
 * 2. What is missing is asked for with one query, without an order, so that it ends early where there is too much. Questions
 *    of more than `rowsMax` rows, and those that `canCompute` does not know, are left to DuckDB.
 *
 * The plan of the question has been made before: who may see the table, its version, and the answer's tag are those of
 * any query.
 */
import { BIGINT, DOUBLE, TIMESTAMPTZ, VARCHAR } from '@duckdb/node-api';
import type { Clock } from '@varve/common/clock.js';
import { timeColumnName } from '@varve/common/contract/columns.js';
import type { DataFile, Snapshot } from '../../delta/snapshot.js';
import { MemoryAnswer } from '../../query/memory-answer.js';
import type { Answer, AnswerColumn } from '../../query/query-answer.js';
import type { QueryEngine, QueryPlan } from '../../query/query-engine.js';
import { resultColumns, sourceSql, type RangeQuestion } from '../plan-range.js';
import { SqlParams } from '../sql-params.js';
import { CollectedSeries, dayUs } from './collect-series.js';
import { DayMemory } from './day-memory.js';
import { canCompute, rangeOfRows, rowsFromUs } from './range-of-rows.js';
import { batchesOf } from './row-batches.js';
import { joinSeries, type SeriesRows } from './series-rows.js';

/** Of a question. What is computed of them keeps the event loop for about 10 ms. */
const rowsMax = 200_000;
const daysMax = 4_000;
/** Of a table: they are looked through once per version of it. */
const filesMax = 50_000;
const bytesMax = 64e6;

export interface RangeMemoryOptions {
  readonly engine: QueryEngine;
  readonly clock: Clock;
}

export class RangeMemory {
  readonly #engine: QueryEngine;
  readonly #clock: Clock;
  readonly #days = new DayMemory(bytesMax);

  constructor({ engine, clock }: RangeMemoryOptions) {
    this.#engine = engine;
    this.#clock = clock;
  }

  /**
   * @returns undefined where DuckDB is to be asked
   * @throws Failure as the engine's `run` does
   */
  async answer(plan: QueryPlan, question: RangeQuestion, client: AbortSignal): Promise<Answer | undefined> {
    const [table] = plan.tables;
    if (!table || plan.tables.length > 1 || table.snapshot.aggregate || !canCompute(question))
      return undefined;
    const { snapshot } = table;
    const key = keyOf(snapshot, question);
    const windowMs = question.endMs - rowsFromUs(question) / 1_000;
    if (this.#days.isTooLong(key, windowMs)) return undefined;
    this.#days.use(key);
    const files = snapshot.files.size > filesMax ? undefined : filesByDay(snapshot);
    const days = files && planDays(question, files, this.#clock.nowMs());
    if (!days) return undefined;
    const rows = await this.#rowsOf(key, days, { plan, question, client });
    if (rows === 'too many') this.#days.putTooLong(key, windowMs);
    return rows === 'too many' || rows === 'otherwise' ? undefined : this.#answerOf(plan, question, rows);
  }

  async #rowsOf(key: string, days: readonly AskedDay[], context: ReadContext): Promise<FoundRows> {
    const found = days.map((day) => (day.isOver ? this.#days.get(key, day.day, day.files) : undefined));
    const missing = days.filter((_, index) => found[index] === undefined);
    const read = await this.#read(missing, context);
    if (typeof read === 'string') return read;
    const parts = days.map((day, index) => {
      const kept = found[index];
      if (kept) return kept;
      const series = read.seriesOf(day.day);
      if (day.isOver) this.#days.put(key, day.day, day.files, series);
      return series;
    });
    const series = joinSeries(parts);
    return series.reduce((sum, { timesUs }) => sum + timesUs.length, 0) > rowsMax ? 'too many' : series;
  }

  async #read(
    missing: readonly AskedDay[],
    { plan, question, client }: ReadContext,
  ): Promise<CollectedSeries | 'too many' | 'otherwise'> {
    const collected = new CollectedSeries(question.tags.length, question.fields.length);
    const [first, last] = [missing[0], missing.at(-1)];
    if (!first || !last) return collected;
    const params = new SqlParams();
    const source = sourceSql(question, params, [first.startUs / 1_000, last.endUs / 1_000]);
    const { isVisible, timeoutMs, asOf } = plan.request;
    const shown = ['moment', ...question.tags.map((_, index) => `t${index}`)];
    const sql = `SELECT ${[...shown, ...question.fields.map((_, index) => `f${index}`)].join(', ')} FROM (${source})`;
    const reading = await this.#engine.plan({
      sql: `${sql} LIMIT ${rowsMax + 1}`,
      params: params.values,
      database: question.database,
      isVisible,
      rowsMax: rowsMax + 1,
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(asOf && { asOf }),
    });
    // A commit may have come between.
    if (reading.tables[0]?.snapshot.version !== plan.tables[0]?.snapshot.version) return 'otherwise';
    const answer = await this.#engine.run(reading, client);
    try {
      for await (const batch of answer.batches()) if (!collected.add(batch)) return 'otherwise';
      return answer.rowCount > rowsMax ? 'too many' : collected;
    } finally {
      await answer.close();
    }
  }

  #answerOf(plan: QueryPlan, question: RangeQuestion, series: readonly SeriesRows[]): Answer {
    const columns = columnsOf(question);
    const batches = batchesOf(rangeOfRows(question, series), columns);
    return new MemoryAnswer(plan, this.#engine, { columns, batches });
  }
}

type FoundRows = readonly SeriesRows[] | 'too many' | 'otherwise';

interface ReadContext {
  readonly plan: QueryPlan;
  readonly question: RangeQuestion;
  readonly client: AbortSignal;
}

function columnsOf({ tags, fields, buckets }: RangeQuestion): AnswerColumn[] {
  const values = buckets
    ? resultColumns(fields, buckets.aggregates).map(({ name, aggregate }) => ({
        name,
        type: aggregate.name === 'count' ? BIGINT : DOUBLE,
      }))
    : fields.map(({ name }) => ({ name, type: DOUBLE }));
  return [
    { name: timeColumnName, type: TIMESTAMPTZ },
    ...tags.map((name) => ({ name, type: VARCHAR })),
    ...values,
  ];
}

interface AskedDay {
  /** Since 1970. */
  readonly day: number;
  /** What is to be read of it. */
  readonly startUs: number;
  readonly endUs: number;
  readonly isOver: boolean;
  readonly files: readonly DataFile[];
}

/** Days with files in the order of time; undefined where there are too many. */
function planDays(
  question: RangeQuestion,
  files: ReadonlyMap<number, readonly DataFile[]>,
  nowMs: number,
): AskedDay[] | undefined {
  const [startUs, endUs] = [rowsFromUs(question), Math.round(question.endMs * 1_000)];
  const [first, last] = [Math.floor(startUs / dayUs), Math.ceil(endUs / dayUs) - 1];
  const days: AskedDay[] = [];
  const known =
    last - first < daysMax ? numbersBetween(first, last) : [...files.keys()].sort((a, b) => a - b);
  for (const day of known) {
    const ofDay = files.get(day);
    if (!ofDay || day < first || day > last) continue;
    const isOver = (day + 1) * dayUs <= nowMs * 1_000;
    const [from, to] = [day * dayUs, (day + 1) * dayUs];
    const part = isOver ? [from, to] : [Math.max(from, startUs), Math.min(to, endUs)];
    const [partStartUs = from, partEndUs = to] = part;
    days.push({ day, startUs: partStartUs, endUs: partEndUs, isOver, files: ofDay });
  }
  return days.length > daysMax ? undefined : days;
}

function numbersBetween(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Found once per version of a table. */
const filesOfVersions = new WeakMap<Snapshot, ReadonlyMap<number, readonly DataFile[]>>();

function filesByDay(snapshot: Snapshot): ReadonlyMap<number, readonly DataFile[]> {
  const known = filesOfVersions.get(snapshot);
  if (known) return known;
  const byDate = new Map<string, DataFile[]>();
  for (const file of snapshot.files.values()) {
    const files = byDate.get(file.day);
    if (files) files.push(file);
    else byDate.set(file.day, [file]);
  }
  const days = new Map(
    [...byDate].map(([date, files]) => [Date.parse(date) / (dayUs / 1_000), files] as const),
  );
  filesOfVersions.set(snapshot, days);
  return days;
}

/** What rows are read, of which days whatever. */
function keyOf({ columns }: Snapshot, { database, table, tags, fields, tagValues }: RangeQuestion): string {
  return JSON.stringify([database, table, columns, tags, fields, [...tagValues]]);
}
