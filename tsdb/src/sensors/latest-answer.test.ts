import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableColumns } from '@varve/common/contract/columns.js';
import fc from 'fast-check';
import { newerOf, seriesKey, type LatestRow } from '../latest/series.js';
import { latestTexts, type LatestQuestion } from './latest-answer.js';

const columns: TableColumns = {
  tags: [{ name: 'device' }, { name: 'site' }],
  fields: [
    { name: 'count', type: 'long' },
    { name: 'temp', type: 'double' },
  ],
};

const writtenRow = fc.record({
  device: fc.constantFrom('a', 'b', 'c', 'd"'),
  site: fc.constantFrom('x', 'y', undefined),
  timeMs: fc.integer({ min: 0, max: 5 }),
  count: fc.option(fc.bigInt({ min: 0n, max: 9n }), { nil: undefined }),
  temp: fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }),
});
const question = fc.record({
  devices: fc.option(fc.subarray(['a', 'c', 'nobody']), { nil: undefined }),
  fields: fc.constantFrom(undefined, ['temp'], ['temp', 'count']),
  staleAfterMs: fc.constantFrom(undefined, 3),
  rowsMax: fc.constantFrom(2, 100),
});

/** Said without anything that is kept. */
function plainly(
  rows: ReadonlyMap<string, LatestRow>,
  { tagValues, fields, staleAfterMs, rowsMax }: LatestQuestion,
) {
  const devices = tagValues.get('device');
  const order = (row: LatestRow) => `${row.tags['device'] ?? ''} ${row.tags['site'] ?? ''}`;
  const found = [...rows.values()]
    .filter(({ tags }) => !devices || devices.includes(tags['device'] ?? ''))
    .sort((left, right) => (order(left) < order(right) ? -1 : 1));
  const shown = found.slice(0, rowsMax).map(({ tags, timeUs, values }) => {
    const ageMs = 1_000 - timeUs / 1_000;
    const cells = (fields ?? ['count', 'temp']).map((name) => {
      const value = values[name];
      return typeof value === 'bigint' ? Number(value) : (value ?? null);
    });
    const time = new Date(timeUs / 1_000).toISOString().replace('.000Z', 'Z');
    const stale = staleAfterMs === undefined ? null : ageMs > staleAfterMs;
    return [time, tags['device'], tags['site'] ?? null, ...cells, ageMs, stale];
  });
  return { rows: shown, isTruncated: shown.length < found.length };
}

test('whatever is written between two answers, each is that of the rows of now', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ written: fc.array(writtenRow), question }), { maxLength: 8 }),
      (steps) => {
        const rows = new Map<string, LatestRow>();
        for (const step of steps) {
          for (const { device, site, timeMs, count, temp } of step.written) {
            const tags = { device, ...(site !== undefined && { site }) };
            const values = { ...(count !== undefined && { count }), ...(temp !== undefined && { temp }) };
            const key = seriesKey(tags);
            rows.set(key, newerOf(rows.get(key), { tags, timeUs: timeMs * 1_000, values }));
          }
          const { devices, ...others } = step.question;
          const asked = { ...others, tagValues: new Map(devices ? [['device', devices]] : []) };
          const { page, rowCount, isTruncated } = latestTexts(rows, columns, asked, 1_000);
          const expected = plainly(rows, asked);
          const found = (JSON.parse(`${page.takeText()}}`) as { rows: unknown[][] }).rows;
          assert.deepEqual({ rows: found, isTruncated }, expected);
          assert.equal(rowCount, found.length);
        }
      },
    ),
  );
});
