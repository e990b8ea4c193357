import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { TableBatch, type BatchColumns } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';
import type { ReduceConfig } from './reduce-config.js';
import { StreamReducer, type SeriesState } from './stream-reducer.js';

const config: ReduceConfig = {
  heartbeatMs: 60_000,
  rules: new Map([
    ['band', { kind: 'deadband', absolute: 1 }],
    ['door', { kind: 'swinging_door', deviation: 1 }],
  ]),
};

interface Reading {
  readonly device: string;
  readonly timeMs: number;
  readonly fields: Readonly<Record<string, number | string>>;
}

function columnsOf(readings: readonly Reading[]): BatchColumns {
  const batch = new TableBatch({ tags: ['site', 'device'], declaredTypes: new Map() });
  for (const { device, timeMs, fields } of readings) {
    batch.beginRow(timeMs * 1_000, ['hall', device]);
    for (const [name, value] of Object.entries(fields))
      batch.setField(name, name, typeof value === 'string' ? 'string' : 'double', value);
  }
  return batch.finish();
}

/** `device time field=value`, each cell. */
function cellsOf({ rowCount, timeUs, tags, fields }: BatchColumns): string[] {
  const device = tags.find(({ name }) => name === 'device');
  assert(device);
  return Array.from({ length: rowCount }, (_, row) =>
    fields
      .filter(({ validity }) => isValid(validity, row))
      .map(({ name, type, values, texts }) => {
        const value = type === 'string' ? texts[values[row] ?? 0] : values[row];
        return `${device.texts[device.values[row] ?? 0]} ${(timeUs[row] ?? 0) / 1_000} ${name}=${value}`;
      }),
  ).flat();
}

const at = (timeMs: number, fields: Reading['fields'], device = 'a'): Reading => ({ device, timeMs, fields });
const nothing: ReadonlyMap<string, SeriesState> = new Map();

test('each field has its rule, each series its state, and what has no rule is kept', () => {
  const readings = [
    at(1, { band: 5, other: 1, state: 'on' }),
    at(2, { band: 5.5, other: 1 }),
    at(3, { band: 5.5 }),
    at(4, { band: 7 }, 'b'),
    at(5, { band: 9 }),
  ];
  const { columns } = new StreamReducer(config, ['device', 'site'], nothing).plan(columnsOf(readings), 5);
  assert.deepEqual(cellsOf(columns), [
    ...['a 1 band=5', 'a 1 other=1', 'a 1 state=on', 'a 2 other=1', 'b 4 band=7', 'a 5 band=9'],
  ]);
});

test('what a series that has gone silent holds back is kept after a heartbeat', () => {
  const reducer = new StreamReducer(config, ['device', 'site'], nothing);
  const first = reducer.plan(columnsOf([at(0, { door: 1 }), at(10, { door: 1.5 })]), 10);
  assert.deepEqual(cellsOf(first.columns), ['a 0 door=1']);
  reducer.accept(first);
  assert.equal(reducer.nextDueMs, 60_010);
  assert.deepEqual(cellsOf(reducer.plan(undefined, 60_009).columns), []);
  const silent = reducer.plan(undefined, 60_010);
  assert.deepEqual(cellsOf(silent.columns), ['a 10 door=1.5']);
  reducer.accept(silent);
  assert.equal(reducer.nextDueMs, undefined);
});

const readingArbitrary = fc.record({
  device: fc.constantFrom('a', 'b'),
  stepMs: fc.integer({ min: 1, max: 20_000 }),
  band: fc.integer({ min: 0, max: 5 }),
  door: fc.integer({ min: 0, max: 5 }),
});

test('cut into shipments anywhere, killed between any two: the same values are kept', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(readingArbitrary, fc.boolean(), fc.boolean()), { maxLength: 60 }),
      (steps) => {
        let timeMs = 0;
        const readings = steps.map(([{ device, stepMs, band, door }]) =>
          at((timeMs += stepMs), { band, door }, device),
        );
        const once = new StreamReducer(config, ['device', 'site'], nothing);
        const expected = cellsOf(once.plan(columnsOf(readings), 0).columns);
        assert.deepEqual(cutAndKilled(readings, steps).toSorted(), expected.toSorted());
      },
    ),
    { numRuns: 500 },
  );
});

function cutAndKilled(
  readings: readonly Reading[],
  steps: readonly (readonly [unknown, isCut: boolean, isKilled: boolean])[],
): string[] {
  const durable = new Map<string, SeriesState>();
  const start = () =>
    new StreamReducer(config, ['device', 'site'], JSON.parse(JSON.stringify([...durable])) as never);
  let reducer = start();
  const cells: string[] = [];
  let window: Reading[] = [];
  for (const [index, reading] of readings.entries()) {
    window.push(reading);
    const [, isCut = false, isKilled = false] = steps[index] ?? [];
    if (!isCut && index < readings.length - 1) continue;
    if (isKilled) {
      reducer.plan(columnsOf(window), 0);
      reducer = start();
    }
    const plan = reducer.plan(columnsOf(window), 0);
    cells.push(...cellsOf(plan.columns));
    for (const [key, state] of plan.changed) durable.set(key, state);
    reducer.accept(plan);
    window = [];
  }
  return cells;
}
