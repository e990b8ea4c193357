import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Add } from './actions.js';
import { toDataFile } from './data-file.js';
import { boundsOf, compareTexts, layoutOf } from './file-bounds.js';
import { formatStatistics, formatTimeTags } from './statistics.js';

const name = { database: 'main', table: 'climate' };
const layout = layoutOf({
  tags: [{ name: 'device' }, { name: 'site' }],
  fields: [
    { name: 'count', type: 'long' },
    { name: 'level', type: 'double', decimals: 2 },
    { name: 'ok', type: 'boolean' },
    { name: 'state', type: 'string' },
    { name: 'v', type: 'double' },
  ],
});
const extent = { rowCount: 3, minTimeUs: 1_000, maxTimeUs: 2_000 };

function fileWith(stats: string | undefined, tags?: Record<string, string>) {
  const add: Add = {
    path: 'a.parquet',
    partitionValues: { day: '1970-01-01' },
    size: 1,
    modificationTime: 0,
    dataChange: true,
    stats,
    tags,
  };
  return toDataFile(name, add, layout);
}

test('bounds of tags and numbers are what the statistics say', () => {
  const stats = formatStatistics({
    ...extent,
    columns: [
      { name: 'device', type: 'string', nullCount: 0, bounds: { min: 'a', max: 'b' } },
      { name: 'site', type: 'string', nullCount: 3 },
      { name: 'count', type: 'long', nullCount: 0, bounds: { min: -5n, max: 7n } },
      { name: 'level', type: 'double', decimals: 2, nullCount: 0, bounds: { min: '-1.25', max: '100.00' } },
      { name: 'ok', type: 'boolean', nullCount: 0 },
      { name: 'state', type: 'string', nullCount: 0, bounds: { min: 'x', max: 'y' } },
      { name: 'v', type: 'double', nullCount: 1, bounds: { min: 0, max: 2.5 } },
    ],
  });
  assert.match(stats, /"level":-1.25,/);
  const file = fileWith(stats, formatTimeTags(extent));
  assert.deepEqual(boundsOf(file, 'device'), { min: 'a', max: 'b', nullCount: 0 });
  assert.deepEqual(boundsOf(file, 'site'), { min: undefined, max: undefined, nullCount: 3 });
  assert.deepEqual(boundsOf(file, 'count'), { min: -5, max: 7 });
  assert.deepEqual(boundsOf(file, 'level'), { min: -1.25, max: 100 });
  assert.deepEqual(boundsOf(file, 'v'), { min: -0, max: 2.5 });
  for (const column of ['ok', 'state', 'nothing']) assert.equal(boundsOf(file, column), undefined);
});

test('a long that a double cannot hold has wider bounds', () => {
  const big = 2n ** 53n + 1n;
  const stats = `{"minValues":{"count":${-big}},"maxValues":{"count":${big}}}`;
  const { min, max } = boundsOf(fileWith(stats), 'count') ?? {};
  assert.ok(BigInt(min ?? 0) <= -big && BigInt(max ?? 0) >= big);
});

test('what another writer may mean differently is not taken for a bound', () => {
  const stats =
    '{"minValues":{"v":1.5,"device":7},"maxValues":{"v":"NaN","device":null},"nullCount":{"device":-0.5}}';
  const file = fileWith(stats);
  assert.deepEqual(boundsOf(file, 'v'), {}, 'it may have left NaN out');
  assert.deepEqual(boundsOf(file, 'device'), { min: undefined, max: undefined, nullCount: undefined });
});

test('a file without statistics has no bounds', () => {
  for (const stats of [undefined, '', '{}', '{"numRecords":4}', '{"minValues":"x"}'])
    assert.deepEqual(boundsOf(fileWith(stats), 'count') ?? {}, {}, stats);
});

test('texts are compared by their UTF-8 bytes', () => {
  assert.ok(compareTexts('\uff5e', '\u{1f600}') < 0, 'by UTF-16 units it is the other way round');
  const texts = fc
    .array(fc.constantFrom('a', 'b', '\uff5e', '\ud7ff', '\ue000', '\u{1f600}', '\u{10ffff}'))
    .map((all) => all.join(''));
  fc.assert(
    fc.property(texts, texts, (left, right) => {
      const byBytes = Buffer.compare(Buffer.from(left), Buffer.from(right));
      assert.equal(Math.sign(compareTexts(left, right)), byBytes);
    }),
  );
});
