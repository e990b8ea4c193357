import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FieldType } from '@varve/common/contract/columns.js';
import {
  formatStatistics,
  formatTimeTags,
  narrowByTags,
  extentOf,
  parseStatistics,
  type Bounds,
  type ColumnStatistics,
} from './statistics.js';

const noonUs = Date.parse('2026-11-20T12:00:00Z') * 1_000;

function format(...columns: ColumnStatistics[]): string {
  return formatStatistics({ rowCount: 3, minTimeUs: noonUs, maxTimeUs: noonUs, columns });
}

/** The text of `min,max` for one column, `-` where there is none. */
function boundsOf(type: FieldType, bounds: Bounds): string {
  const text = format({ name: 'v', type, nullCount: 0, bounds });
  const of = (member: string) => new RegExp(`"${member}":{[^}]*"v":([^,}]*)`).exec(text)?.[1] ?? '-';
  return `${of('minValues')},${of('maxValues')}`;
}

test('the text is what other writers make of it', () => {
  assert.equal(
    format(
      { name: 'site', type: 'string', nullCount: 0, bounds: { min: 'a', max: 'b' } },
      { name: 'v', type: 'double', nullCount: 1, bounds: { min: 1.5, max: 2 } },
    ),
    '{"numRecords":3,' +
      '"minValues":{"time":"2026-11-20T12:00:00.000Z","site":"a","v":1.5},' +
      '"maxValues":{"time":"2026-11-20T12:00:00.000Z","site":"b","v":2.0},' +
      '"nullCount":{"time":0,"site":0,"v":1}}',
  );
});

test('times are widened to whole milliseconds, three digits always', () => {
  const text = formatStatistics({
    rowCount: 2,
    minTimeUs: noonUs + 1_999,
    maxTimeUs: noonUs + 5_001,
    columns: [],
  });
  assert.match(text, /"minValues":{"time":"2026-11-20T12:00:00.001Z"}/);
  assert.match(text, /"maxValues":{"time":"2026-11-20T12:00:00.006Z"}/);
  const before1970 = formatStatistics({ rowCount: 1, minTimeUs: -1, maxTimeUs: -1, columns: [] });
  assert.match(before1970, /"minValues":{"time":"1969-12-31T23:59:59.999Z"}/);
  assert.match(before1970, /"maxValues":{"time":"1970-01-01T00:00:00.000Z"}/);
});

test('doubles are printed with a fraction', () => {
  assert.equal(boundsOf('double', { min: 5, max: 6.25 }), '5.0,6.25');
  assert.equal(boundsOf('double', { min: -1e21, max: 1e21 }), '-1e+21,1e+21');
  assert.equal(boundsOf('double', { min: 1e-7, max: 1 }), '1e-7,1.0');
});

test('a zero bound covers both zeros', () => {
  assert.equal(boundsOf('double', { min: 0, max: 0 }), '-0.0,0.0');
  assert.equal(boundsOf('double', { min: -0, max: -0 }), '-0.0,-0.0');
});

test('longs keep every digit', () => {
  assert.equal(
    boundsOf('long', { min: -9223372036854775808n, max: 9007199254740993n }),
    '-9223372036854775808,9007199254740993',
  );
});

test('booleans have no bounds', () => {
  assert.equal(
    format({ name: 'v', type: 'boolean', nullCount: 2 }).includes('"nullCount":{"time":0,"v":2}'),
    true,
  );
});

test('a long text keeps the start of its minimum and loses its maximum', () => {
  const [exact, long] = ['x'.repeat(32), 'x'.repeat(33)];
  assert.equal(boundsOf('string', { min: exact, max: exact }), `"${exact}","${exact}"`);
  assert.equal(boundsOf('string', { min: long, max: long }), `"${exact}",-`);
});

test('a surrogate pair is never split', () => {
  const long = `${'x'.repeat(31)}🌡`;
  assert.equal(boundsOf('string', { min: long, max: 'y' }), `"${'x'.repeat(31)}","y"`);
  const exact = `${'x'.repeat(30)}🌡`;
  assert.equal(boundsOf('string', { min: exact, max: exact }), `"${exact}","${exact}"`);
});

test('a column without a value, or with NaN, has a null count and nothing else', () => {
  const text = format({ name: 'v', type: 'double', nullCount: 3 });
  assert.deepEqual(Object.keys((JSON.parse(text) as { minValues: object }).minValues), ['time']);
  assert.match(text, /"nullCount":{"time":0,"v":3}/);
});

test('only the first 32 columns have statistics, time among them', () => {
  const columns = Array.from({ length: 40 }, (_, index): ColumnStatistics => ({
    name: `v${index}`,
    type: 'long',
    nullCount: 0,
    bounds: { min: 1n, max: 2n },
  }));
  const parsed = JSON.parse(format(...columns)) as Record<string, object>;
  for (const member of ['minValues', 'maxValues', 'nullCount'])
    assert.equal(Object.keys(parsed[member] ?? {}).length, 32, member);
});

const dayStartUs = Date.parse('2026-11-20T00:00:00Z') * 1_000;
const dayEndUs = dayStartUs + 86_400_000_000 - 1;

test('the extent of a file is read back, never narrower than the truth', () => {
  const stats = formatStatistics({
    rowCount: 9,
    minTimeUs: noonUs + 1,
    maxTimeUs: noonUs + 2_001,
    columns: [],
  });
  assert.deepEqual(extentOf(parseStatistics(stats), '2026-11-20'), {
    rowCount: 9,
    minTimeUs: noonUs,
    maxTimeUs: noonUs + 3_999,
  });
});

test('microseconds, cut maxima and missing zones of other writers are understood', () => {
  const stats = (min: string, max: string) =>
    JSON.stringify({ minValues: { time: min }, maxValues: { time: max } });
  const noon = { rowCount: Number.NaN, minTimeUs: noonUs, maxTimeUs: noonUs + 999 };
  for (const text of [
    '2026-11-20T12:00:00Z',
    '2026-11-20T12:00:00.000999Z',
    '2026-11-20T13:00:00.000+01:00',
    '2026-11-20T12:00:00.000',
    '2026-11-20 12:00:00.000',
  ])
    assert.deepEqual(extentOf(parseStatistics(stats(text, text)), '2026-11-20'), noon, text);
});

test('without usable statistics a file may hold anything of its day', () => {
  const wholeDay = { rowCount: Number.NaN, minTimeUs: dayStartUs, maxTimeUs: dayEndUs };
  for (const stats of [undefined, null, '', '{}', '[]', '{"numRecords":-1}', '{"minValues":{"time":7}}'])
    assert.deepEqual(extentOf(parseStatistics(stats), '2026-11-20'), wholeDay, String(stats));
});

test('our own tags narrow the range to the microsecond; others, and wrong ones, change nothing', () => {
  const extent = { rowCount: 2, minTimeUs: 1_000, maxTimeUs: 9_999 };
  const exact = { rowCount: 2, minTimeUs: 1_234, maxTimeUs: 9_001 };
  assert.deepEqual(narrowByTags(extent, formatTimeTags(exact)), exact);
  for (const tags of [undefined, null, {}, { lvl: '0' }, formatTimeTags({ ...exact, maxTimeUs: 10_000 })])
    assert.deepEqual(narrowByTags(extent, tags), extent);
});
