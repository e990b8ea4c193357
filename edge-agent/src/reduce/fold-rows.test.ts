import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FieldType } from '@varve/common/contract/columns.js';
import { TableBatch, type BatchColumns } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';
import { RowFolder } from './fold-rows.js';
import { cookRecipe, makeRecipe } from './reduce-recipe.js';
import type { FieldRule, ReduceConfig } from './reduce-config.js';
import { composeRows } from './reduced-columns.js';
import { readStates, SeriesStates } from './series-states.js';

type Value = number | string | bigint | boolean;

interface Reading {
  readonly timeUs: number;
  readonly device?: string;
  readonly fields: Readonly<Record<string, Value>>;
}

const at = (timeUs: number, fields: Reading['fields'], device = 'a'): Reading => ({ timeUs, device, fields });

function columnsOf(readings: readonly Reading[], tags = ['device', 'site']): BatchColumns {
  const batch = new TableBatch({ tags, declaredTypes: new Map() });
  for (const { timeUs, device = 'a', fields } of readings) {
    batch.beginRow(timeUs);
    batch.setTag('device', device);
    for (const [name, value] of Object.entries(fields)) batch.setField(name, name, typeNameOf(value), value);
  }
  return batch.finish();
}

function typeNameOf(value: Value): FieldType {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'number') return 'double';
  return typeof value === 'bigint' ? 'long' : 'boolean';
}

/** `device time {fields}` of each row. */
function rowsOf({ rowCount, timeUs, tags, fields }: BatchColumns): string[] {
  const device = tags.find(({ name }) => name === 'device');
  return Array.from({ length: rowCount }, (_, row) => {
    const set = fields.filter(({ validity }) => isValid(validity, row));
    const shown = set.map(({ name, type, values, texts, longs }) => {
      const value = values[row] ?? 0;
      return `${name}=${type === 'string' ? texts[value] : String(longs?.[row] ?? value)}`;
    });
    return [device?.texts[device.values[row] ?? 0], timeUs[row], ...shown].join(' ');
  });
}

const configOf = (rules: Record<string, FieldRule>, heartbeatMs = 0.1): ReduceConfig => ({
  heartbeatMs,
  rules: new Map(Object.entries(rules)),
});
const statesOf = (config: ReduceConfig, cellsMax = 1_000) =>
  new SeriesStates(
    '',
    [...config.rules.values()].some(({ kind }) => kind === 'swinging_door'),
    cellsMax,
  );

/** One window; what is held in the end leaves too. */
function reduce(readings: readonly Reading[], config: ReduceConfig, cellsMax?: number): string[] {
  const folder = new RowFolder(statesOf(config, cellsMax), config);
  const rows = columnsOf(readings);
  const { leaves, leavingCount } = folder.fold(rows);
  folder.release();
  const released = folder.released.rowCount > 0 ? folder.released.finish() : undefined;
  const columns = composeRows(rows, leaves, leavingCount, released);
  const cooked = cookRecipe(makeRecipe(leaves, released), rows);
  assert.deepEqual(rowsOf(cooked.columns), rowsOf(columns), 'the recipe makes the same rows');
  return rowsOf(columns).toSorted((a, b) => Number(a.split(' ')[1]) - Number(b.split(' ')[1]));
}

const absolute: FieldRule = { kind: 'deadband', absolute: 1 };
const share: FieldRule = { kind: 'deadband', share: 0.1 };
const door: FieldRule = { kind: 'swinging_door', deviation: 1 };

const single: [what: string, rule: FieldRule, values: number[], kept: number[]][] = [
  ['the first value is new', absolute, [5], [5]],
  ['a value within the band is not', absolute, [5, 6, 4], [5]],
  ['a value beyond it is, and the band is around that', absolute, [5, 6.1, 5.2, 5], [5, 6.1, 5]],
  ['a share of the last value', share, [100, 109, 111, 121], [100, 111]],
  ['of a value below zero', share, [-100, -109, -111], [-100, -111]],
  ['of zero', share, [0, 0, 0.001], [0, 0.001]],
  ['the ends of a line', door, [0, 1, 2, 3, 4], [0, 4]],
  ['and of the next line', door, [0, 2, 4, 6, 3, 0, -3], [0, 6, -3]],
  ['noise within the deviation is not new', door, [0, 0.5, -0.5, 0.4, 0], [0, 0]],
];
for (const [what, rule, values, kept] of single)
  test(`${rule.kind}: ${what}`, () => {
    const rows = reduce(
      values.map((v, index) => at(index, { v })),
      configOf({ v: rule }),
    );
    assert.deepEqual(
      rows.map((row) => Number(row.split('v=')[1])),
      kept,
    );
  });

const many: [what: string, rules: Record<string, FieldRule>, readings: Reading[], rows: string[]][] = [
  [
    'a row leaves whole when any field says something new, and renews all of them',
    { v: absolute, w: absolute },
    [at(1, { v: 0, w: 0 }), at(2, { v: 0.9, w: 2 }), at(3, { v: 1.8, w: 2 }), at(4, { v: 2, w: 2 })],
    ['a 1 v=0 w=0', 'a 2 v=0.9 w=2', 'a 4 v=2 w=2'],
  ],
  [
    'a field without a rule says something new when it changes',
    { v: absolute },
    [at(1, { v: 0, s: 'on' }), at(2, { v: 0, s: 'on' }), at(3, { v: 0, s: 'off' }), at(4, { v: 0, n: 1 })],
    ['a 1 s=on v=0', 'a 3 s=off v=0', 'a 4 n=1 v=0'],
  ],
  [
    'each series has its own',
    { v: absolute },
    [at(1, { v: 5 }), at(2, { v: 5 }, 'b'), at(3, { v: 5 }), at(4, { v: 5 }, 'b')],
    ['a 1 v=5', 'b 2 v=5'],
  ],
  [
    'the end of a line is the row as it came',
    { v: door, w: absolute },
    [at(0, { v: 0, w: 1, s: 'x' }), at(1, { v: 1, w: 1.5, s: 'x' }), at(2, { v: 9, w: 1.2, s: 'x' })],
    ['a 0 s=x v=0 w=1', 'a 1 s=x v=1 w=1.5', 'a 2 s=x v=9 w=1.2'],
  ],
  [
    'another type is new, and so is the one before when it comes back',
    { v: absolute },
    [at(1, { v: 5 }), at(2, { v: 'error' }), at(3, { v: 5 }), at(4, { v: 5n }), at(5, { v: 5n })],
    ['a 1 v=5', 'a 2 v__string=error', 'a 3 v=5', 'a 4 v__long=5'],
  ],
  [
    'what cannot be remembered exactly is always new',
    {},
    [
      at(1, { v: 2n ** 60n }),
      at(2, { v: 2n ** 60n }),
      at(3, { s: 'x'.repeat(201) }),
      at(4, { s: 'x'.repeat(201) }),
    ],
    [
      ...['a 1 v=1152921504606846976', 'a 2 v=1152921504606846976'],
      ...[`a 3 s=${'x'.repeat(201)}`, `a 4 s=${'x'.repeat(201)}`],
    ],
  ],
  [
    'what comes late, or twice, leaves and changes nothing',
    { v: absolute },
    [at(5, { v: 5 }), at(6, { v: 8 }), at(6, { v: 8 }), at(1, { v: 5.5 }), at(7, { v: 8.5 })],
    ['a 1 v=5.5', 'a 5 v=5', 'a 6 v=8', 'a 6 v=8'],
  ],
];
for (const [what, rules, readings, rows] of many)
  test(what, () => assert.deepEqual(reduce(readings, configOf(rules)), rows));

test('the same value leaves once in a heartbeat', () => {
  const same = Array.from({ length: 31 }, (_, index) => at(index * 10, { v: 7 }));
  for (const rule of [absolute, door])
    assert.deepEqual(
      reduce(same, configOf({ v: rule })).map((row) => Number(row.split(' ')[1])),
      [0, 100, 200, 300],
    );
});

test('series and fields that there is no room for are shipped as they come', () => {
  const readings = [at(1, { v: 5 }), at(2, { v: 5 }, 'b'), at(3, { v: 5 }), at(4, { v: 5 }, 'b')];
  assert.deepEqual(reduce(readings, configOf({ v: absolute }), 1), ['a 1 v=5', 'b 2 v=5', 'b 4 v=5']);
  const folder = new RowFolder(statesOf(configOf({}), 1), configOf({}));
  assert.equal(folder.fold(columnsOf([at(1, { v: 5 }), at(2, { w: 5 }), at(3, { w: 5 })])).unjudgedCount, 2);
});

test('a batch that has other tag columns holds the same series', () => {
  const config = configOf({ v: absolute });
  const states = statesOf(config);
  new RowFolder(states, config).fold(columnsOf([at(1, { v: 5 })]));
  assert.equal(new RowFolder(states, config).fold(columnsOf([at(2, { v: 5 })], [])).leavingCount, 0);
});

test('states that are damaged are none', () => {
  const bytes = statesOf(configOf({})).toBytes(true);
  assert(readStates(bytes));
  for (let index = 0; index < bytes.length; index++) {
    const damaged = bytes.slice();
    damaged[index] = (damaged[index] ?? 0) ^ 1;
    assert.equal(readStates(damaged), undefined);
  }
});

test('where the log has lost some rows, all others of the shipment leave', () => {
  const rows = columnsOf([at(1, { v: 5 }), at(2, { v: 5 })]);
  const recipe = makeRecipe(Uint8Array.of(1, 0, 0), undefined);
  const { columns, missingRows } = cookRecipe(recipe, rows);
  assert.deepEqual([columns.rowCount, missingRows], [2, 1]);
});

const seriesArbitrary = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: -50, max: 50 })), {
    minLength: 1,
    maxLength: 60,
  })
  .map((steps) => {
    let timeUs = 0;
    return steps.map(([stepUs, value]) => at((timeUs += stepUs), { v: value / 4 }));
  });
const pointsOf = (rows: readonly string[]) =>
  rows.map((row) => ({ timeUs: Number(row.split(' ')[1]), value: Number(row.split('v=')[1]) }));

test('deadband: every value is within the band of the last one shipped before it', () => {
  fc.assert(
    fc.property(seriesArbitrary, (all) => {
      const kept = pointsOf(reduce(all, configOf({ v: absolute })));
      for (const { timeUs, fields } of all) {
        const before = kept.findLast((point) => point.timeUs <= timeUs);
        assert(before && Math.abs(before.value - Number(fields['v'])) <= 1);
      }
    }),
    { numRuns: 500 },
  );
});

test('swinging door: every value is within the deviation of the line between those shipped', () => {
  fc.assert(
    fc.property(seriesArbitrary, (all) => {
      const kept = pointsOf(reduce(all, configOf({ v: door })));
      assert.equal(kept.at(-1)?.timeUs, all.at(-1)?.timeUs, 'the newest is not forgotten');
      for (const { timeUs, fields } of all) {
        const before = kept.findLast((point) => point.timeUs <= timeUs);
        const after = kept.find((point) => point.timeUs >= timeUs);
        assert(before && after);
        const span = after.timeUs - before.timeUs;
        const part = span === 0 ? 0 : (timeUs - before.timeUs) / span;
        const line = before.value + part * (after.value - before.value);
        assert(Math.abs(line - Number(fields['v'])) <= 1 + 1e-9, `${timeUs}: line ${line}`);
      }
    }),
    { numRuns: 500 },
  );
});
