import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { DataFile } from '../delta/snapshot.js';
import { seriesKey, type LatestRow, type LatestRows } from '../latest/series.js';
import { mayHoldNewest, newestTimes } from './newest-rows.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';

const rowsAt = (timesUs: readonly number[]): LatestRows =>
  new Map(timesUs.map((timeUs, index) => [String(index), { tags: {}, timeUs, values: {} }]));
const file = (minTimeUs: number, maxTimeUs: number) => ({ minTimeUs, maxTimeUs }) as DataFile;

test('no newest row is left out, neither by times nor by files', () => {
  const time = fc.integer({ min: 0, max: 60 });
  fc.assert(
    fc.property(fc.array(time, { minLength: 1, maxLength: 80 }), time, time, (times, one, other) => {
      const found = newestTimes(rowsAt(times));
      for (const us of times) assert.ok(us >= found.sinceUs || found.others.includes(us));
      const [min, max] = [Math.min(one, other), Math.max(one, other)];
      assert.equal(
        mayHoldNewest(file(min, max), found),
        times.some((us) => us >= min && us <= max),
      );
    }),
  );
});

test('series that have been silent for long do not make it read everything since', () => {
  const { sinceUs, others } = newestTimes(rowsAt([1, 2, ...Array<number>(1_000).fill(900), 901, 902]));
  assert.ok(others.length <= 32 && sinceUs >= 900);
});

test('without series there is nothing to read', () => {
  assert.equal(mayHoldNewest(file(0, 1), newestTimes(new Map())), false);
});

let fixture: QueryFixture;
before(async () => {
  fixture = await QueryFixture.open();
  const day = (number: number, devices: string) =>
    `select timestamptz '2026-01-0${number} 00:00:00Z' + to_minutes(i) as time, device, i + ${number * 1_000} as v,
     date '2026-01-0${number}' as day from range(50) r(i), (select unnest([${devices}]) as device)`;
  await fixture.put({
    table: 'readings',
    tags: ['device'],
    fields: { v: 'long' },
    // b is silent since the first day; one series has no tag.
    files: [day(1, "'a', 'b'"), day(2, "'a'"), day(3, "'a', NULL")],
  });
  await fixture.startEngine();
});
after(() => fixture.close());

const at = (text: string) => Date.parse(text) * 1_000;
const newest = (tags: LatestRow['tags'], time: string): [string, LatestRow] => [
  seriesKey(tags),
  { tags, timeUs: at(time), values: {} },
];
const known = new Map([
  newest({ device: 'a' }, '2026-01-03T00:49:00Z'),
  newest({ device: 'b' }, '2026-01-01T00:49:00Z'),
  newest({}, '2026-01-03T00:49:00Z'),
]);

async function ask(sql: string): Promise<{ rows: unknown[][]; files: number }> {
  const answer = await fixture.engine.query({ sql }, new AbortController().signal);
  let text = '';
  for await (const piece of renderAnswer(answer)) text += Buffer.from(piece).toString();
  const { rows, stats } = JSON.parse(text) as { rows: unknown[][]; stats: { files: number } };
  return { rows, files: stats.files };
}

const questions: [sql: string, rows: unknown[][], filesKnown: number, filesUnknown: number][] = [
  [
    "select device, v from latest('readings') order by all nulls first",
    [
      [null, 3049],
      ['a', 3049],
      ['b', 1049],
    ],
    2,
    3,
  ],
  ["select v from latest('readings') where device = 'b'", [[1049]], 2, 3],
  ["select count(*) from latest('readings') l join readings r on l.device = r.device", [[200]], 5, 6],
];
for (const [sql, rows, , filesUnknown] of questions)
  test(`nothing is known of newest rows: ${sql}`, async () =>
    assert.deepEqual(await ask(sql), { rows, files: filesUnknown }));
for (const [sql, rows, filesKnown] of questions)
  test(`newest rows are known: ${sql}`, async () => {
    fixture.knownNewest = () => known;
    assert.deepEqual(await ask(sql), { rows, files: filesKnown });
  });

test('nobody reaches the view of newest rows by its name', async () => {
  await assert.rejects(ask('select * from "main latest".readings'), /there is no table/);
  await assert.rejects(ask(`select getvariable('main latest.readings since')`), /no function/);
});
