import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '@varve/common/clock.js';
import { QueryFixture, type FixtureTable } from '../../query/query.test.fixture.js';
import { renderAnswer } from '../../query/render-answer.js';
import type { Answer } from '../../query/query-answer.js';
import { planRange, type RangeQuestion } from '../plan-range.js';
import { findAggregate } from '../range-aggregates.js';
import { RangeMemory } from './range-memory.js';

const startMs = Date.parse('2026-01-01T00:00:00Z');
const nowMs = Date.parse('2026-01-03T12:00:00Z');
const clock = { ...systemClock, nowMs: () => nowMs };
const nobody = new AbortController().signal;
const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000];

/** Rows every 7 minutes or so of three days, with holes and nulls; values of a row are unlike those of others. */
const rowsOf = (day: number, device: string, site: string, where: string) =>
  `select timestamptz '2026-01-0${day}' + to_seconds(i * 431) as time, ${device} as device, ${site} as site,
    case when i % 5 <> 3 then 20 + i * 0.37 - (i % 7) * 3.1 + ${day} * 0.001 end as temp,
    case when i % 11 > 6 then i * i / 8.0 + ${day} * 0.001 end as hum, i::bigint as parts, date '2026-01-0${day}' as day
    from range(200) r(i) where i * 431 < 86400 and ${where}`;

const walk = (version: number, more: readonly string[] = []): FixtureTable => ({
  table: 'walk',
  version,
  tags: ['device', 'site'],
  fields: { hum: 'double', parts: 'long', temp: 'double' },
  files: [
    `${rowsOf(1, "'a'", "'north'", 'i % 17 < 12')} union all ${rowsOf(1, "'b'", 'null', 'i < 20')}`,
    rowsOf(2, "'a'", "'north'", 'i > 60 and i < 100'),
    rowsOf(2, "'a'", "'north'", 'i <= 60 or i > 150'),
    `${rowsOf(2, "'b'", 'null', 'i % 2 = 0')} union all ${rowsOf(2, "'ü'", "'süd'", 'i % 3 = 0')}`,
    `${rowsOf(3, "'a'", "'north'", 'true')} union all ${rowsOf(3, 'null', "'süd'", 'i > 50')}`,
    ...more,
  ],
});

let fixture: QueryFixture;
let memory: RangeMemory;
/** What the memory asked the engine for. */
let queries: string[] = [];

before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put(walk(1));
  await fixture.startEngine();
  memory = newMemory();
});
after(() => fixture.close());

function newMemory(): RangeMemory {
  const { engine } = fixture;
  const run: typeof engine.run = async (plan, client) => {
    queries.push(plan.request.sql);
    return await engine.run(plan, client);
  };
  const watched = Object.assign(Object.create(engine) as typeof engine, {
    run,
    plan: engine.plan.bind(engine),
    elapsedMs: engine.elapsedMs.bind(engine),
    noteAnswered: engine.noteAnswered.bind(engine),
  });
  return new RangeMemory({ engine: watched, clock });
}

const question = (more: Partial<RangeQuestion> = {}): RangeQuestion => ({
  database: 'main',
  table: 'walk',
  tags: ['device', 'site'],
  fields: [
    { name: 'hum', type: 'double' },
    { name: 'temp', type: 'double' },
  ],
  tagValues: new Map([['device', ['a']]]),
  startMs,
  endMs: startMs + dayMs,
  nowMs,
  ...more,
});

async function textOf(answer: Answer, format: 'csv' | 'json' = 'csv'): Promise<string> {
  let text = '';
  for await (const piece of renderAnswer(answer, format)) text += Buffer.from(piece).toString();
  return text;
}

async function ask(asked: RangeQuestion, more: { rowsMax?: number; asOf?: { version: number } } = {}) {
  const plan = await fixture.engine.plan({ ...planRange(asked), rowsMax: 100_000, ...more });
  const known = await memory.answer(plan, asked, nobody);
  return { known, truth: () => fixture.engine.run(plan, nobody) };
}

const aggregateOf = (name: string) => findAggregate(name) ?? assert.fail(name);

const questions = fc
  .record({
    devices: fc.constantFrom(undefined, ['a'], ['b'], ['a', 'ü'], ['nobody']),
    fromMs: fc.integer({ min: -2 * hourMs, max: 3 * dayMs }),
    lengthMs: fc.constantFrom(1_500, 10 * minuteMs, hourMs, 5 * hourMs, dayMs, 3 * dayMs),
    fields: fc.constantFrom(['hum', 'temp'], ['temp'], ['hum']),
    everyMs: fc.constantFrom(undefined, 7_000, minuteMs, 431_000, 17 * minuteMs, hourMs, 7 * hourMs),
    aggregates: fc.subarray(['avg', 'sum', 'count', 'min', 'max', 'first', 'last'], { minLength: 1 }),
    fill: fc.constantFrom<('none' | 'null' | 'previous' | 'linear' | number)[]>(
      'none',
      'null',
      'previous',
      'linear',
      -7.5,
    ),
    maxGapMs: fc.constantFrom(undefined, 5 * minuteMs, 15 * minuteMs, 2 * hourMs),
    lookBackMs: fc.constantFrom(minuteMs, 3 * hourMs, dayMs),
    pointsMax: fc.constantFrom(undefined, 1, 10, 50, 1_000),
  })
  .filter(({ lengthMs, everyMs }) => everyMs === undefined || lengthMs / everyMs < 5_000)
  .map(({ devices, fromMs, lengthMs, fields, everyMs, aggregates, fill, maxGapMs, lookBackMs, pointsMax }) =>
    question({
      tagValues: new Map(devices ? [['device', devices]] : []),
      startMs: startMs + fromMs,
      endMs: startMs + fromMs + lengthMs,
      fields: fields.map((name) => ({ name, type: 'double' as const })),
      pointsMax: everyMs === undefined ? pointsMax : undefined,
      buckets:
        everyMs === undefined
          ? undefined
          : {
              width: { us: everyMs * 1_000 },
              timeZone: 'UTC',
              aggregates: aggregates.map(aggregateOf),
              fill,
              maxGapMs,
              lookBackMs,
            },
    }),
  );

test('answers from memory are those of SQL, whatever is asked', async () => {
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(questions, async (asked) => {
      const { known, truth: run } = await ask(asked);
      const truth = await run();
      const [columns, other] = [known?.columns, truth.columns].map((all) =>
        all?.map(({ name, type }) => `${name} ${String(type)}`),
      );
      assert.deepEqual(columns, other);
      assert.ok(known);
      const [text, expected] = [await textOf(known), await textOf(truth)];
      assertSame(text, expected);
      answered += text.split('\r\n').length > 2 ? 1 : 0;
    }),
    { numRuns: 250 },
  );
  assert.ok(answered > 100, `${answered} had rows`);
});

/** Sums may differ in their last digit. */
function assertSame(text: string, expected: string): void {
  if (text === expected) return;
  const [lines, others] = [text.split('\r\n'), expected.split('\r\n')];
  assert.equal(lines.length, others.length, `${text.slice(0, 2_000)}\n---\n${expected.slice(0, 2_000)}`);
  for (const [index, line] of lines.entries()) {
    const other = others[index]?.split(',') ?? [];
    const isSame = line.split(',').every((cell, column) => {
      const [left, right] = [Number(cell), Number(other[column])];
      return cell === other[column] || Math.abs(left - right) <= 1e-9 * Math.max(1, Math.abs(right));
    });
    assert.ok(isSame, `${line}\n${others[index]}`);
  }
}

const asksEngine = async (work: () => Promise<unknown>) => {
  queries = [];
  await work();
  return queries.length;
};

const wholeDay = question({
  fields: [{ name: 'temp', type: 'double' }],
  tagValues: new Map([['device', ['b']]]),
});

test('a day that is over is read once, and every part of it is known then; a day that grows is read every time', async () => {
  memory = newMemory();
  const part = { ...wholeDay, startMs: startMs + hourMs, endMs: startMs + 2 * hourMs };
  assert.equal(await asksEngine(() => ask(wholeDay)), 1);
  assert.equal(await asksEngine(() => ask(part)), 0);
  const today = { ...wholeDay, endMs: nowMs };
  assert.equal(await asksEngine(() => ask(today)), 1);
  assert.equal(await asksEngine(() => ask(today)), 1);
  assert.equal(await asksEngine(() => ask({ ...today, endMs: startMs + 2 * dayMs })), 0);
});

test('a day with other files than before is read anew, and an earlier version is what it was', async () => {
  memory = newMemory();
  const first = await ask(wholeDay);
  const text = await textOf(first.known ?? assert.fail());
  await fixture.put(walk(2, [rowsOf(1, "'b'", 'null', 'i > 100 and i < 104')]));
  const second = await ask(wholeDay);
  const later = await textOf(second.known ?? assert.fail());
  assert.equal(later.split('\r\n').length, text.split('\r\n').length + 3);
  await fixture.put(walk(3, [rowsOf(1, "'b'", 'null', 'i > 100 and i < 106')]));
  const compacted = await ask(wholeDay);
  assert.equal(
    (await textOf(compacted.known ?? assert.fail())).split('\r\n').length,
    text.split('\r\n').length + 5,
  );
  const past = await ask(wholeDay, { asOf: { version: 1 } });
  assert.equal(await textOf(past.known ?? assert.fail()), text);
});

test('an answer that is cut off says so, as JSON and with its counts', async () => {
  const { known, truth } = await ask(question({ tagValues: new Map() }), { rowsMax: 150 });
  const read = async (answer: Answer) => JSON.parse(await textOf(answer, 'json')) as Record<string, unknown>;
  const body = await read(known ?? assert.fail());
  const expected = await read(await truth());
  assert.equal(body['truncated'], true);
  assert.deepEqual({ ...body, stats: 0 }, { ...expected, stats: 0 });
});

test('what memory cannot know is left to SQL: too many rows once, then at once; other fields, aggregates and zones', async () => {
  await fixture.put({
    table: 'fast',
    fields: { v: 'double' },
    files: [
      `select timestamptz '2026-01-01' + to_milliseconds(i * 100) as time, i / 4.0 as v, date '2026-01-01' as day from range(210000) r(i)`,
      `select timestamptz '2026-01-02' as time, 'nan'::double as v, date '2026-01-02' as day`,
    ],
  });
  memory = newMemory();
  const fast = question({
    table: 'fast',
    tags: [],
    tagValues: new Map(),
    fields: [{ name: 'v', type: 'double' }],
  });
  assert.equal((await ask(fast)).known, undefined);
  assert.equal(await asksEngine(async () => assert.equal((await ask(fast)).known, undefined)), 0);
  const nan = { ...fast, startMs: startMs + dayMs, endMs: startMs + dayMs + hourMs };
  assert.equal((await ask(nan)).known, undefined);
  const buckets = {
    width: { us: 60e6 },
    timeZone: 'UTC',
    aggregates: [aggregateOf('avg')],
    fill: 'none',
    maxGapMs: undefined,
    lookBackMs: dayMs,
  } as const;
  for (const left of [
    question({ fields: [{ name: 'parts', type: 'long' }] }),
    question({ buckets: { ...buckets, aggregates: [aggregateOf('p95')] } }),
    question({ buckets: { ...buckets, aggregates: [aggregateOf('time_avg')] } }),
    question({ buckets: { ...buckets, timeZone: 'Europe/Berlin' } }),
    question({ buckets: { ...buckets, width: { months: 1 } } }),
  ])
    assert.equal(await asksEngine(async () => assert.equal((await ask(left)).known, undefined)), 0);
  assert.ok((await ask(question({ buckets }))).known);
});
