import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layoutOf, packBounds } from '../delta/file-bounds.js';
import type { DataFile } from '../delta/snapshot.js';
import { planOverlap } from './plan-overlap.js';

const file = (path: string, minTimeUs: number, maxTimeUs: number, day = '2026-03-01'): DataFile => ({
  path,
  key: path,
  day,
  bytes: 1,
  rowCount: 1,
  minTimeUs,
  maxTimeUs,
  level: 0,
  addedMs: 0,
});

const files = [
  file('early', 0, 10),
  file('middle', 10, 20),
  file('late', 21, 30),
  file('other day', 0, 30, '2026-03-02'),
];

const cases: [minTimeUs: number, maxTimeUs: number, expected: string[]][] = [
  [31, 40, []],
  [30, 40, ['late']],
  [10, 10, ['early', 'middle']],
  [0, 40, ['early', 'middle', 'late']],
  [12, 13, ['middle']],
  [-5, -1, []],
];
for (const [minTimeUs, maxTimeUs, expected] of cases)
  test(`rows from ${minTimeUs} to ${maxTimeUs} may meet ${expected.join(', ') || 'no file'}`, () => {
    const found = planOverlap(files, { day: '2026-03-01', minTimeUs, maxTimeUs, series: undefined }, []);
    assert.deepEqual(
      found.map(({ path }) => path),
      expected,
    );
  });

const layout = layoutOf({ tags: [{ name: 'device' }, { name: 'site' }], fields: [] });
function fileOf(path: string, min: string, max: string, siteNulls: number): DataFile {
  const stats = {
    minValues: { device: min, site: 'p' },
    maxValues: { device: max, site: 'p' },
    nullCount: { device: 0, site: siteNulls },
  };
  return { ...file(path, 0, 10), bounds: packBounds(layout, stats, true) };
}
const bounded = [
  fileOf('a to c', 'a', 'c', 0),
  fileOf('d to f', 'd', 'f', 0),
  fileOf('d, no site', 'd', 'd', 1),
  file('unknown', 0, 10),
];

const seriesCases: [series: Readonly<Record<string, string>>[], expected: string[]][] = [
  [[{ device: 'b', site: 'p' }], ['a to c', 'unknown']],
  [[{ device: 'd', site: 'p' }], ['d to f', 'unknown']],
  [[{ device: 'd' }], ['d, no site', 'unknown']],
  [[{ device: 'x', site: 'p' }], ['unknown']],
  [[{ device: 'b', site: 'q' }], ['unknown']],
  [
    [
      { device: 'b', site: 'p' },
      { device: 'f', site: 'p' },
    ],
    ['a to c', 'd to f', 'unknown'],
  ],
];
for (const [series, expected] of seriesCases)
  test(`late rows of ${JSON.stringify(series)} may meet ${expected.join(', ')}`, () => {
    const found = planOverlap(bounded, { day: '2026-03-01', minTimeUs: 0, maxTimeUs: 5, series }, [
      'device',
      'site',
    ]);
    assert.deepEqual(
      found.map(({ path }) => path),
      expected,
    );
  });
