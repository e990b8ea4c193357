import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAggregateColumn } from '@varve/common/contract/aggregate.js';
import { TableBatch, type BatchColumns, type NamedColumn } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';
import type { AggregateConfig } from './aggregate-config.js';
import { aggregateRows } from './aggregate-rows.js';
import { StreamAggregator, type AggregatePlan } from './stream-aggregator.js';

interface Reading {
  readonly device: string;
  readonly timeMs: number;
  /** Undefined: the message has no such field. */
  readonly value: number | undefined;
  readonly state?: string;
}

function columnsOf(readings: readonly Reading[]): BatchColumns {
  const batch = new TableBatch({ tags: ['device'], declaredTypes: new Map() });
  for (const { device, timeMs, value, state } of readings) {
    batch.beginRow(timeMs * 1_000, [device]);
    if (value !== undefined) batch.setField('x', 'x', 'double', value);
    if (state !== undefined) batch.setField('state', 'state', 'string', state);
  }
  return batch.finish();
}

type Row = Readonly<Record<string, unknown>>;

function rowsOf({ rowCount, timeUs, tags, fields }: BatchColumns): Row[] {
  const cell = ({ type, values, validity, texts }: NamedColumn, row: number) => {
    if (!isValid(validity, row)) return undefined;
    return type === 'string' ? texts[values[row] ?? 0] : values[row];
  };
  return Array.from({ length: rowCount }, (_, row) => ({
    time: (timeUs[row] ?? 0) / 1_000,
    ...Object.fromEntries([...tags, ...fields].map((column) => [column.name, cell(column, row)])),
  }));
}

/** As the centre merges them: one row for each window and series. */
function mergePartials(partials: readonly Row[]): Map<string, Record<string, unknown>> {
  const merged = new Map<string, Record<string, unknown>>();
  for (const partial of partials) {
    const key = `${String(partial['device'])} ${String(partial['time'])}`;
    const row = merged.get(key) ?? {};
    merged.set(key, row);
    for (const [name, value] of Object.entries(partial)) mergeCell(row, partial, name, value);
  }
  return merged;
}

function mergeCell(row: Record<string, unknown>, partial: Row, name: string, value: unknown): void {
  const column = parseAggregateColumn(name);
  if (!column || value === undefined) return;
  const before = row[name];
  const { field } = column;
  switch (column.function) {
    case 'sketch':
      row[name] = joinSketches(before, value);
      return;
    case 'count':
    case 'sum':
      row[name] = Number(before ?? 0) + Number(value);
      return;
    case 'min':
      row[name] = Math.min(Number(before ?? Infinity), Number(value));
      return;
    case 'max':
      row[name] = Math.max(Number(before ?? -Infinity), Number(value));
      return;
    case 'first':
    case 'last': {
      const time = `${field}_${column.function}_time`;
      const known = row[time] as number | undefined;
      const came = partial[time] as number;
      if (known !== undefined && (column.function === 'first' ? known <= came : known >= came)) return;
      row[name] = value;
      row[time] = came;
      return;
    }
    case 'first_time':
    case 'last_time':
  }
}

/** As values, each as often as it is there. */
function joinSketches(...texts: readonly unknown[]): string {
  const bins = texts.flatMap((text) => (typeof text === 'string' ? text.split(' ') : []));
  const counts = new Map<number, number>();
  for (const bin of bins) {
    const [value = 0, count = 0] = bin.split(':').map(Number);
    counts.set(value, (counts.get(value) ?? 0) + count);
  }
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map((bin) => bin.join(':'))
    .join(' ');
}

const reading = (device: string, timeMs: number, value?: number, state?: string): Reading => ({
  ...{ device, timeMs, value },
  ...(state !== undefined && { state }),
});

test('a window has the count, sum, bounds and ends of its values', () => {
  const rows = columnsOf([reading('a', 12_000, 5), reading('a', 10_000, 1), reading('a', 19_999, 3)]);
  assert.deepEqual(rowsOf(aggregateRows(rows, 10_000_000, 'p')), [
    {
      ...{ time: 10_000, device: 'a', part: 'p' },
      ...{ x_count: 3, x_sum: 9, x_min: 1, x_max: 5, x_first: 1, x_last: 3 },
      ...{ x_first_time: 10_000_000, x_last_time: 19_999_000 },
    },
  ]);
});
test('texts have their count and ends', () => {
  const rows = columnsOf([reading('a', 1, undefined, 'on'), reading('a', 2, undefined, 'off')]);
  const [row] = rowsOf(aggregateRows(rows, 10_000_000, 'p'));
  assert.equal(row?.['state_first'], 'on');
  assert.equal(row['state_last'], 'off');
  assert.equal(row['state_count'], 2);
  assert(!('state_sum' in row));
});
test('a reading that is repeated counts once, and the last value wins', () => {
  const rows = columnsOf([reading('a', 5, 1, 'on'), reading('a', 5, 7), reading('a', 5, undefined, 'off')]);
  const [row] = rowsOf(aggregateRows(rows, 10_000_000, 'p'));
  assert.deepEqual([row?.['x_count'], row?.['x_sum'], row?.['state_last']], [1, 7, 'off']);
});
test('a window without a field has none of its columns; times before 1970 are aligned downwards', () => {
  const rows = columnsOf([reading('a', -1, 4), reading('a', 10, undefined, 'on')]);
  const [before, after] = rowsOf(aggregateRows(rows, 10_000_000, 'p'));
  assert.deepEqual([before?.['time'], before?.['x_count']], [-10_000, 1]);
  assert.deepEqual([after?.['time'], after?.['x_count']], [0, undefined]);
});
test('what additions round off is not lost', () => {
  const values = [1e16, 1, -1e16];
  const rows = columnsOf(values.map((value, index) => reading('a', index, value)));
  assert.equal(rowsOf(aggregateRows(rows, 10_000_000, 'p'))[0]?.['x_sum'], 1);
});

const tenSeconds: AggregateConfig = { table: 'ten', everyMs: 10_000, latenessMs: 2_000 };
const quantiles = { shown: [0.5], fields: undefined };
const minutes: AggregateConfig = { table: 'minute', everyMs: 60_000, latenessMs: 0, quantiles };

const kitchen = { declaredTypes: new Map() };

interface Step {
  readonly readings: readonly Reading[];
  readonly nowMs: number;
  readonly isOverfull: boolean;
  /** After the shipment was planned, or after it is durable; undefined: it lives. */
  readonly killed: 'planned' | 'durable' | undefined;
}

/** A gateway that stages these windows; returns its partials by table. */
function live(steps: readonly Step[]): Map<string, Row[]> {
  const written = new Map<string, Row[]>();
  const log: Reading[] = [];
  let closedMs: ReadonlyMap<string, number> = new Map();
  let openRanges: readonly { firstSeq: number; endSeq: number }[] = [];
  const start = () => {
    const aggregator = new StreamAggregator([tenSeconds, minutes], kitchen, closedMs);
    for (const { firstSeq, endSeq } of openRanges)
      aggregator.restore({ firstSeq, endSeq, columns: columnsOf(log.slice(firstSeq, endSeq)) });
    return aggregator;
  };
  let aggregator = start();
  const stage = ({ nowMs, isOverfull }: Step, firstSeq: number): AggregatePlan => {
    const columns = columnsOf(log.slice(firstSeq));
    const rows = { firstSeq, endSeq: log.length, columns };
    return aggregator.plan({ rows, nowMs, isOverfull, part: String(log.length) });
  };
  for (const step of steps) {
    const firstSeq = log.length;
    log.push(...step.readings);
    if (step.killed === 'planned') {
      stage(step, firstSeq);
      aggregator = start();
    }
    const plan = stage(step, firstSeq);
    for (const { aggregate, columns } of plan.batches)
      written.set(aggregate.table, [...(written.get(aggregate.table) ?? []), ...rowsOf(columns)]);
    closedMs = plan.closedMs;
    openRanges = plan.open;
    if (step.killed === 'durable') aggregator = start();
    else aggregator.accept(plan);
  }
  return written;
}

const stepArbitrary = fc.record({
  readings: fc.array(
    fc.record({
      device: fc.constantFrom('a', 'b', 'c'),
      // Late, early and far off: the clock of a sensor is its own.
      timeMs: fc.oneof(
        { weight: 9, arbitrary: fc.nat(400_000) },
        { weight: 1, arbitrary: fc.nat(10_000_000) },
      ),
      value: fc.option(fc.integer({ min: -1_000, max: 1_000 }), { nil: undefined }),
      state: fc.constantFrom('on', 'off'),
    }),
    { maxLength: 30 },
  ),
  // The clock goes on, as a rule.
  nowMs: fc.oneof({ weight: 6, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(500_000) }),
  isOverfull: fc.nat(9).map((draw) => draw === 0),
  killed: fc.constantFrom(undefined, undefined, 'planned' as const, 'durable' as const),
});

test('1,000 schedules of arrival, killed anywhere: merged partials are the aggregates of the rows', () => {
  fc.assert(
    fc.property(fc.array(stepArbitrary, { maxLength: 12 }), (steps) => {
      const distinct = onceEach(steps);
      const end: Step = { readings: [], nowMs: 1e9, isOverfull: false, killed: undefined };
      const written = live([...distinct, end]);
      const all = columnsOf(distinct.flatMap(({ readings }) => readings));
      for (const { table, everyMs, quantiles: wanted } of [tenSeconds, minutes]) {
        const expected = mergePartials(rowsOf(aggregateRows(all, everyMs * 1_000, 'all', wanted)));
        assert.deepEqual(mergePartials(written.get(table) ?? []), expected);
        const identities = (written.get(table) ?? []).map(({ device, time, part }) =>
          [device, time, part].join(),
        );
        assert.equal(new Set(identities).size, identities.length, 'no partial replaces another');
      }
    }),
    { numRuns: 1_000 },
  );
});

/** A reading that is published twice, the second time after its window was written, counts twice: left out here. */
function onceEach(steps: readonly Step[]): Step[] {
  const seen = new Set<string>();
  let clockMs = 0;
  return steps.map((step) => ({
    ...step,
    nowMs: (clockMs = step.nowMs === -1 ? clockMs + 25_000 : step.nowMs),
    readings: step.readings.filter(({ device, timeMs }) => {
      const key = `${device} ${timeMs}`;
      const isNew = !seen.has(key);
      seen.add(key);
      return isNew;
    }),
  }));
}

test('a window is written once when everything comes in time', () => {
  const step = (timeMs: number): Step => ({
    ...{ readings: [reading('a', timeMs, 1)], nowMs: timeMs + 100, isOverfull: false, killed: undefined },
  });
  const steps = Array.from({ length: 61 }, (_, second) => step(second * 1_000));
  const ten = live(steps).get('ten') ?? [];
  assert.deepEqual(
    ten.map((row) => [row['time'], row['x_count']]),
    [0, 10_000, 20_000, 30_000, 40_000].map((time) => [time, 10]),
  );
});
