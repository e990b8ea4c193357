import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FieldType } from '@varve/common/contract/columns.js';
import { TableBatch, type BatchColumns } from '../batch/table-batch.js';
import { Refusal, type DecodeRules } from './decoder.js';
import { jsonDecoder } from './json.js';

interface Stream {
  readonly tags?: string[];
  readonly time?: DecodeRules['time'];
  readonly fields?: Record<string, FieldType>;
}

function decodeAll(
  stream: Stream,
  payloads: readonly (string | Uint8Array)[],
): { batch: BatchColumns; refusals: Refusal[] } {
  const tags = stream.tags ?? [];
  const fields = stream.fields && new Map(Object.entries(stream.fields));
  const decode = jsonDecoder({ time: stream.time, fields, tags: new Set(tags) });
  const batch = new TableBatch({ tags, declaredTypes: fields ?? new Map() });
  const refusals = payloads.flatMap((payload) => {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    return (
      decode({ payload: bytes, arrivedMs: 1_000, tagValues: tags.map((tag) => `${tag}-1`) }, batch) ?? []
    );
  });
  return { batch: batch.finish(), refusals };
}

/** Columns as `name:type → values`, null where a row has none. */
function columnsOf({ fields, rowCount }: BatchColumns): Record<string, unknown[]> {
  return Object.fromEntries(
    fields.map(({ name, type, values, validity, texts }) => [
      `${name}:${type}`,
      Array.from({ length: rowCount }, (_, row) => {
        if (((validity[row >> 3] ?? 0) & (1 << (row & 7))) === 0) return null;
        return type === 'string' ? texts[values[row] ?? 0] : values[row];
      }),
    ]),
  );
}

const ts = { path: 'ts', unit: 'ms' } as const;

const rows: [what: string, stream: Stream, payloads: string[], columns: Record<string, unknown[]>][] = [
  [
    'numbers, booleans and texts are fields',
    {},
    ['{"a":1,"b":true,"c":"x"}'],
    { 'a:double': [1], 'b:boolean': [1], 'c:string': ['x'] },
  ],
  [
    'the time and the tags are not',
    { time: ts, tags: ['site'] },
    ['{"ts":5,"site":"q","a":1}'],
    { 'a:double': [1] },
  ],
  ['null, objects and arrays are passed over', {}, ['{"a":1,"b":null,"c":{},"d":[1]}'], { 'a:double': [1] }],
  [
    'a field that comes later is null before',
    {},
    ['{"a":1}', '{"b":2}'],
    { 'a:double': [1, null], 'b:double': [null, 2] },
  ],
  ['20 and 20.5 are one series', {}, ['{"a":20}', '{"a":20.5}'], { 'a:double': [20, 20.5] }],
  [
    'a text in a number field stands beside it',
    {},
    ['{"a":"off"}', '{"a":2}'],
    { 'a:double': [null, 2], 'a__string:string': ['off', null] },
  ],
  ['declared fields are the only ones', { fields: { a: 'double' } }, ['{"a":1,"b":2}'], { 'a:double': [1] }],
  ['a declared long is one', { fields: { n: 'long' } }, ['{"n":7}'], { 'n:long': [7] }],
  [
    'a fraction in a long field stands beside it',
    { fields: { n: 'long' } },
    ['{"n":7}', '{"n":7.5}'],
    { 'n:long': [7, null], 'n__double:double': [null, 7.5] },
  ],
  [
    'names are folded, reserved ones moved aside',
    {},
    ['{"Temp °C":1,"day":2,"time":3}'],
    { 'temp_c:double': [1], 'day_:double': [2], 'time_:double': [3] },
  ],
  [
    'the time may lie deeper',
    { time: { path: 'meta.at', unit: 's' } },
    ['{"meta":{"at":5},"a":1}'],
    { 'a:double': [1] },
  ],
];
for (const [what, stream, payloads, columns] of rows)
  test(what, () => {
    const { batch, refusals } = decodeAll(stream, payloads);
    assert.deepEqual(refusals, []);
    assert.deepEqual(columnsOf(batch), columns);
  });

const refused: [what: string, stream: Stream, payload: string | Uint8Array, code: string, reason: RegExp][] =
  [
    ['no JSON', {}, '{oops', 'not_json', /not JSON/],
    ['nothing', {}, '', 'not_json', /empty/],
    ['bytes that are no UTF-8', {}, Buffer.from([0x22, 0xff, 0x22]), 'not_json', /./],
    ['an array', {}, '[1]', 'not_object', /found an array/],
    ['a number', {}, '21.5', 'not_object', /found a number/],
    ['null', {}, 'null', 'not_object', /found null/],
    ['no time', { time: ts }, '{"a":1}', 'no_time', /no member "ts"/],
    ['a time that is none', { time: ts }, '{"ts":"noon","a":1}', 'no_time', /"noon", which is no time in ms/],
    ['nothing to store', {}, '{"a":null}', 'no_field', /no member/],
    [
      'two names that are one',
      {},
      '{"Temp":1,"temp":2}',
      'name_clash',
      /"Temp" and "temp" would both be the column temp/,
    ],
    [
      'too many fields',
      {},
      JSON.stringify(Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`f${i}`, i]))),
      'too_many_fields',
      /1000/,
    ],
  ];
for (const [what, stream, payload, code, reason] of refused)
  test(`${what} is refused with a reason, and adds no row`, () => {
    const { batch, refusals } = decodeAll(stream, [payload]);
    assert.equal(refusals[0]?.code, code);
    assert.match(refusals[0].reason, reason);
    assert.equal(batch.rowCount, 0);
  });

test('whatever the bytes: a row or a refusal, never a throw', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .object({ key: fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'ts', 'time')) })
      .map((value) => Buffer.from(JSON.stringify(value))),
  );
  fc.assert(
    fc.property(bytes, fc.boolean(), (payload, timed) => {
      const { batch, refusals } = decodeAll(timed ? { time: ts } : {}, [payload]);
      assert.equal(batch.rowCount + refusals.length, 1);
    }),
    { numRuns: 20_000 },
  );
});
