import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseAggregateColumn } from '@varve/common/contract/aggregate.js';
import type { BatchColumns, NamedColumn } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';
import { aggregateRows } from './aggregate-rows.js';
import {
  columnsOf,
  distinctReadings,
  live,
  minutes,
  schedule,
  tenSeconds,
  type Reading,
  type Step,
} from './schedules.test.fixture.js';

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

function rowsByTable(steps: readonly Step[]): Map<string, Row[]> {
  return new Map([...live(steps)].map(([table, batches]) => [table, batches.flatMap(rowsOf)]));
}

test('1,000 schedules of arrival, killed anywhere: merged partials are the aggregates of the rows', () => {
  fc.assert(
    fc.property(schedule, (steps) => {
      const written = rowsByTable(steps);
      const all = columnsOf(distinctReadings(steps));
      for (const { table, everyMs, quantiles } of [tenSeconds, minutes]) {
        const expected = mergePartials(rowsOf(aggregateRows(all, everyMs * 1_000, 'all', quantiles)));
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

describe('a reading that comes again after its window was written', () => {
  const at = (nowMs: number, ...readings: Reading[]): Step => ({
    ...{ readings, nowMs, isOverfull: false, killed: undefined },
  });
  const counts = (steps: readonly Step[]) =>
    (rowsByTable(steps).get('ten') ?? []).map(({ x_count, state_count }) => [x_count, state_count]);

  test('counts once, also when the agent was killed in between', () => {
    const first = at(13_000, reading('a', 5_000, 1, 'on'));
    assert.deepEqual(counts([first, at(20_000, reading('a', 5_000, 1, 'on'))]), [[1, 1]]);
    const killed = { ...first, killed: 'durable' } as const;
    assert.deepEqual(counts([killed, at(20_000, reading('a', 5_000, 1, 'on'))]), [[1, 1]]);
  });
  test('counts for a field that it did not have before', () => {
    const steps = [at(13_000, reading('a', 5_000, 1)), at(20_000, reading('a', 5_000, 7, 'on'))];
    assert.deepEqual(counts(steps), [
      [1, undefined],
      [undefined, 1],
    ]);
  });
  test('is another one where the tags or the time are others', () => {
    const steps = [
      at(13_000, reading('a', 5_000, 1)),
      at(20_000, reading('b', 5_000, 1), reading('a', 5_001, 1)),
    ];
    assert.equal(counts(steps).length, 3);
  });
  test('counts again when it is forgotten, or there is no room to remember it', () => {
    const again = reading('a', 5_000, 1);
    assert.equal(counts([at(13_000, again), at(300_000), at(301_000, again)]).length, 2);
    assert.equal(counts([{ ...at(13_000, again), isOverfull: true }, at(14_000, again)]).length, 2);
  });
});

test('a window is written once when everything comes in time', () => {
  const step = (timeMs: number): Step => ({
    ...{ readings: [reading('a', timeMs, 1)], nowMs: timeMs + 100, isOverfull: false, killed: undefined },
  });
  const steps = Array.from({ length: 61 }, (_, second) => step(second * 1_000));
  const ten = rowsByTable(steps).get('ten') ?? [];
  assert.deepEqual(
    ten.map((row) => [row['time'], row['x_count']]),
    [0, 10_000, 20_000, 30_000, 40_000].map((time) => [time, 10]),
  );
});
