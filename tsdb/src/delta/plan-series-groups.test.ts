import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayEndWithSeries, planSeriesGroups } from './plan-series-groups.js';

const times = (count: number, rows: number) => Array.from({ length: count }, () => rows);

/** Rows of each series, and the groups and `ROW_GROUP_SIZE` expected of them. */
const cases: readonly [string, readonly number[], ReturnType<typeof planSeriesGroups>][] = [
  [
    'three series of a day every 10 s',
    times(7, 8_640),
    { groups: [25_920, 25_920, 8_640], rowGroupSize: 25_920 },
  ],
  ['one long series each', times(2, 86_400), { groups: [86_400, 86_400], rowGroupSize: 86_400 }],
  [
    'some readings are missing',
    [8_600, 8_640, 8_630, 8_640, 8_640, 8_500],
    { groups: [25_870, 25_780], rowGroupSize: 25_780 },
  ],
  ['sensors of different rates', [8_640, 8_640, 8_640, 86_400, 86_400, 4_320], undefined],
  ['too few rows for a group', times(2, 8_640), undefined],
  ['more groups than statements are made of', times(1_001, 20_480), undefined],
  ['no series', [], undefined],
];
for (const [name, seriesRows, expected] of cases)
  test(`row groups: ${name}`, () => assert.deepEqual(planSeriesGroups(seriesRows), expected));

test('a few shorter series move no other row group', () => {
  const [usual, short] = [times(57, 8_640), [4_100, 4_100, 4_100]];
  assert.equal(planSeriesGroups([...usual, ...short, ...usual])?.rowGroupSize, 25_920);
});

test('only files of long series of decimals, longs and booleans are looked at', () => {
  const exact = { name: 'a', type: 'double', decimals: 2 } as const;
  const may = (
    fields: Parameters<typeof mayEndWithSeries>[0]['fields'],
    series: number,
    rows: number,
    rowsMax: number,
  ) => mayEndWithSeries({ tags: [{ name: 'device' }], fields }, { series, rows, rowsMax });
  assert.equal(
    may([exact, { name: 'b', type: 'long' }, { name: 'c', type: 'boolean' }], 10, 86_400, 8_640),
    true,
  );
  assert.equal(may([exact, { name: 'b', type: 'double' }], 10, 86_400, 8_640), false);
  assert.equal(may([exact, { name: 'b', type: 'string' }], 10, 86_400, 8_640), false);
  assert.equal(may([{ name: 'b', type: 'long' }], 10, 86_400, 8_640), false);
  assert.equal(may([exact], 60, 86_400, 1_440), false);
  assert.equal(may([exact], 2_000, 17_280_000, 8_640), false);
  assert.equal(may([exact], 2, 864_000, 432_000), false);
});
