import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { scaleNumber } from './name-plans.js';
import { columnsOf, routeAll, streamOf, type Sent } from './streams.test.fixture.js';

const payload = '{"ts":61.5,"meta":{"device":"d-7","line":3,"fw":"1.2"},"data":{"temp":215,"n":"5"},"ok":1}';
const all = {
  'data_n:string': ['5'],
  'data_temp:double': [215],
  'meta_device:string': ['d-7'],
  'meta_fw:string': ['1.2'],
  'meta_line:double': [3],
  'ok:double': [1],
  'ts:double': [61.5],
};
const { 'ts:double': ts, 'meta_device:string': device, ...others } = all;

const mapped: [what: string, stream: object, columns: Record<string, unknown[]>][] = [
  ['everything is taken', {}, all],
  [
    'what is a tag or the time is no field',
    { time: { path: 'ts', unit: 's' }, tags: { device: { path: 'meta.device' } } },
    { device: ['d-7'], ...others },
  ],
  [
    'unless it is asked for',
    { tags: { device: { path: 'meta.device' } }, fields: { serial: { path: 'meta.device' } } },
    { device: ['d-7'], 'serial:string': ['d-7'] },
  ],
  [
    'tags are constants, members and numbers as texts; what a message lacks is null',
    {
      tags: { hall: 'B', number: 3, line: { path: 'meta.line' }, gone: { path: 'x' } },
      fields: { ok: 'long' },
    },
    { gone: [null], hall: ['B'], line: ['3'], number: ['3'], 'ok:long': [1] },
  ],
  [
    'listed fields are the only ones, renamed and typed',
    { fields: { temperature: { path: 'data.temp', type: 'long' }, 'data.n': 'long', ok: 'boolean' } },
    { 'data_n:long': [5], 'ok:boolean': [1], 'temperature:long': [215] },
  ],
  [
    'one member makes two fields',
    { fields: { raw: { path: 'data.temp' }, temp: { path: 'data.temp', scale: 0.1, offset: -2, round: 1 } } },
    { 'raw:double': [215], 'temp:double': [19.5] },
  ],
  [
    'kept ones with all below them',
    { keep: ['data', 'ok'] },
    {
      'data_n:string': ['5'],
      'data_temp:double': [215],
      'ok:double': [1],
    },
  ],
  [
    'dropped ones are not',
    { drop: ['meta', 'data.n', 'ts'] },
    { 'data_temp:double': [215], 'ok:double': [1] },
  ],
  [
    'the rest may be taken too',
    { fields: { ok: 'boolean' }, drop: ['meta', 'ts'], other_fields: 'take' },
    {
      'data_n:string': ['5'],
      'data_temp:double': [215],
      'ok:boolean': [1],
    },
  ],
  [
    'a text that is no number stands beside',
    { fields: { 'meta.device': 'double' } },
    {
      'meta_device__string:string': ['d-7'],
    },
  ],
  [
    'a scale leaves texts',
    { fields: { 'meta.device': { scale: 2 }, ok: { scale: 2 } } },
    {
      'meta_device__string:string': ['d-7'],
      'ok:double': [2],
    },
  ],
];
for (const [what, stream, columns] of mapped)
  test(what, () => {
    const { tables, refusals } = routeAll([streamOf({ topic: '#', ...stream })], [payload]);
    assert.deepEqual(refusals, []);
    assert.deepEqual(columnsOf(tables['environment']), columns);
    assert.deepEqual([ts, device], [[61.5], ['d-7']]);
  });

test('the original names are kept where they are others', () => {
  assert.deepEqual(
    routeAll([streamOf({ fields: { ok: {} } })], ['{"ok":1}']).tables['environment']?.originalNames,
    {},
  );
  const folded = routeAll([streamOf()], ['{"Temp":1}', '{"temp":1}']).tables['environment'];
  assert.deepEqual(folded?.originalNames, { temp: 'Temp' });
  const fields = { temperature: { path: 'data.temp' }, ok: {} };
  const { tables } = routeAll([streamOf({ fields })], [payload]);
  assert.deepEqual(tables['environment']?.originalNames, { temperature: 'data.temp' });
});

const times: [what: string, time: unknown, payload: string, us: number][] = [
  ['arrival', 'arrival', '{"a":1}', 1_000_000],
  ['a member', { path: 't', unit: 's' }, '{"a":1,"t":2.5}', 2_500_000],
  ['snapped', { path: 't', unit: 'ms', snap: '1s' }, '{"a":1,"t":2999}', 2_000_000],
  ['snapped before 1970', { path: 't', unit: 'ms', snap: '1s' }, '{"a":1,"t":-1}', -1_000_000],
  ['snapped already', { path: 't', unit: 'ms', snap: '1s' }, '{"a":1,"t":-3000}', -3_000_000],
  ['arrival, snapped', { snap: '10s' }, '{"a":1}', 0],
  ['ns as text', { path: 't', unit: 'ns' }, '{"a":1,"t":"1795300046309123999"}', 1_795_300_046_309_123],
  ['shared by rows', { path: 't', unit: 's' }, '[{"a":1,"t":7}]', 7_000_000],
];
for (const [what, time, text, us] of times)
  test(`the time: ${what}`, () => {
    const { tables, refusals } = routeAll([streamOf({ time })], [text]);
    assert.deepEqual(refusals, []);
    assert.deepEqual([...(tables['environment']?.timeUs ?? [])], [us]);
  });

test('a snapped time is a multiple, never later, and less than one away', () => {
  const snapUs = 1_000_000;
  const nearMultiple = fc
    .tuple(fc.integer({ min: -9_007_199_253, max: 9_007_199_253 }), fc.integer({ min: -2, max: 2 }))
    .map(([multiple, beside]) => multiple * snapUs + beside);
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeInteger(), nearMultiple), (us) => {
      const sent = `{"a":1,"t":${us}}`;
      const time = { path: 't', unit: 'us', snap: '1s' };
      const [snapped = NaN] = routeAll([streamOf({ time })], [sent]).tables['environment']?.timeUs ?? [];
      // Near -2^53 the multiple below is out of the range of exact microseconds.
      if (!Number.isSafeInteger(us - snapUs)) return;
      const exact = BigInt(us) - (((BigInt(us) % 1_000_000n) + 1_000_000n) % 1_000_000n);
      assert.equal(BigInt(snapped), exact);
    }),
    { numRuns: 500 },
  );
});

const kinds: Sent[] = [
  { topic: 'plant/a/Env 1', payload: '{"x":1}' },
  { topic: 'plant/b/env-1', payload: '{"x":2}' },
  { topic: 'plant/a/power', payload: '{"x":3}' },
];
const byKind = { topic: 'plant/{device}/{kind}', table: '{kind}' };

test('a level of the topic chooses the table, folded to a name, and is a tag only if asked for', () => {
  const { tables } = routeAll([streamOf(byKind)], kinds);
  assert.deepEqual(Object.keys(tables), ['env_1', 'power']);
  assert.deepEqual(columnsOf(tables['env_1']), { device: ['a', 'b'], 'x:double': [1, 2] });
  const tags = { kind: { topic: 'kind' }, machine: { topic: 'device' } };
  const tagged = routeAll([streamOf({ ...byKind, table: 'k_{kind}', tags })], kinds);
  assert.deepEqual(columnsOf(tagged.tables['k_env_1']), {
    kind: ['Env 1', 'env-1'],
    machine: ['a', 'b'],
    'x:double': [1, 2],
  });
});

test('tables are bounded, and what was shipped counts and stays', () => {
  const stream = streamOf({ ...byKind, max_tables: 2 });
  const shipped = [
    { database: 'main', table: 'power' },
    { database: 'main', table: 'other' },
    { database: 'main', table: 'varve_losses' },
  ];
  const { tables, refusals } = routeAll([stream], kinds, shipped);
  assert.deepEqual(Object.keys(tables), ['power']);
  assert.deepEqual(
    refusals.map(({ code }) => code),
    ['too_many_tables', 'too_many_tables'],
  );
  assert.match(refusals[0]?.reason ?? '', /the agent has 2 tables in database main, and max_tables is 2/);
});

test('no message may choose the table of the loss ledger', () => {
  const { refusals } = routeAll([streamOf(byKind)], [{ topic: 'plant/a/varve_losses', payload: '{"x":1}' }]);
  assert.equal(refusals[0]?.code, 'table_taken');
});

test('several streams over one topic, into tables of their own and into one', () => {
  const streams = [
    streamOf({ fields: { a: 'double' } }, 'first'),
    streamOf({ fields: { b: 'long' }, table: 'both' }, 'second'),
    streamOf({ fields: { c: 'string' }, table: 'both', tags: { hall: 'B' } }, 'third'),
  ];
  const { tables, refusals } = routeAll(streams, ['{"a":1,"b":2}', '{"b":3,"c":"x"}', '{"d":1}']);
  assert.deepEqual(columnsOf(tables['first']), { device: ['press-1'], 'a:double': [1] });
  assert.deepEqual(columnsOf(tables['both']), {
    device: ['press-1', 'press-1', 'press-1'],
    hall: [null, null, 'B'],
    'b:long': [2, 3, null],
    'c:string': [null, null, 'x'],
  });
  // Of the first two messages each stream that could take something did.
  assert.deepEqual(
    refusals.map(({ stream, code }) => [stream, code]),
    ['first', 'second', 'third'].map((stream) => [stream, 'no_field']),
  );
});

test('a field with the name of a tag of another stream stands beside it', () => {
  const tagged = streamOf({ table: 'both', fields: { a: 'double' } }, 'first');
  const field = streamOf({ topic: '+/+', table: 'both', fields: { device: 'string' } }, 'second');
  const { tables } = routeAll([tagged, field], ['{"a":1,"device":"x"}']);
  assert.deepEqual(columnsOf(tables['both']), {
    device: ['press-1', null],
    'a:double': [1, null],
    'device__string:string': [null, 'x'],
  });
});

test('a table takes so many fields and tags, and of a message all or nothing', () => {
  const wide = (from: number) =>
    JSON.stringify(Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`f${from + i}`, i])));
  const { tables, refusals } = routeAll([streamOf()], [wide(0), wide(300), wide(500), wide(400)]);
  assert.equal(tables['environment']?.rowCount, 3);
  assert.deepEqual(
    refusals.map(({ code }) => code),
    ['too_many_fields'],
  );
  const tags = Array.from({ length: 101 }, (_, i) => `t${i}=x`).join(',');
  const many = routeAll([streamOf({ format: 'line_protocol' })], [`m,${tags} a=1`]);
  assert.deepEqual(
    many.refusals.map(({ code }) => code),
    ['too_many_tags'],
  );
});

test('names that senders make up do not fill the memory, nor change what is made of others', () => {
  const made = Array.from({ length: 12_000 }, (_, i) => `{"made-${i}":1,"a":${i}}`);
  const { tables, refusals } = routeAll([streamOf({ keep: ['a'] })], made);
  assert.deepEqual(refusals, []);
  assert.deepEqual(Object.keys(columnsOf(tables['environment'])), ['device', 'a:double']);
  assert.equal(tables['environment']?.rowCount, 12_000);
});

const rounded: [value: number, decimals: number, result: number][] = [
  [21.456, 2, 21.46],
  [21.5, 0, 22],
  [-0.001, 2, 0],
  [1.005, 2, 1],
  [9_007_199_254_740_991, 3, 9_007_199_254_740_991],
];
for (const [value, decimals, result] of rounded)
  test(`${value} to ${decimals} decimals is ${result}`, () =>
    assert.equal(scaleNumber(value, { scale: 1, offset: 0, roundFactor: 10 ** decimals }), result));
