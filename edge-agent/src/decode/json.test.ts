import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { columnsOf, routeAll, streamOf } from './streams.test.fixture.js';

const ts = { time: { path: 'ts', unit: 'ms' } };
const plain = { topic: 'plant/+' };

const rows: [what: string, stream: object, payloads: string[], columns: Record<string, unknown[]>][] = [
  [
    'numbers, booleans and texts are fields',
    {},
    ['{"a":1,"b":true,"c":"x"}'],
    { 'a:double': [1], 'b:boolean': [1], 'c:string': ['x'] },
  ],
  ['null and arrays are passed over', {}, ['{"a":1,"b":null,"c":{},"d":[1]}'], { 'a:double': [1] }],
  [
    'members of members have paths for names',
    {},
    ['{"a":1,"data":{"temp":2,"deep":{"er":true}}}'],
    { 'a:double': [1], 'data_temp:double': [2], 'data_deep_er:boolean': [1] },
  ],
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
  [
    'names are folded, reserved ones and those of side columns moved aside',
    {},
    ['{"Temp °C":1,"day":2,"time":3,"a__string":4}'],
    { 'temp_c:double': [1], 'day_:double': [2], 'time_:double': [3], 'a__string_:double': [4] },
  ],
  [
    'the time may lie deeper',
    { time: { path: 'meta.at', unit: 's' } },
    ['{"meta":{"at":5},"a":1}'],
    { 'a:double': [1] },
  ],
  ['an array of objects is several rows', {}, ['[{"a":1},{"a":2}]'], { 'a:double': [1, 2] }],
  [
    'so are documents on a line each, and what is in them',
    {},
    ['{"a":1}\r\n\n[{"a":2},{"a":3}]\n'],
    { 'a:double': [1, 2, 3] },
  ],
  ['a document over several lines is one', {}, ['{\n"a":1\n}\n'], { 'a:double': [1] }],
  [
    'the rows may be the members of an array; what stands around them belongs to each',
    { format: { type: 'json', rows: 'data.readings' } },
    ['{"g":"x","data":{"readings":[{"a":1},{"a":2,"g":"y"}],"n":5}}'],
    { 'a:double': [1, 2], 'data_n:double': [5, 5], 'g:string': ['x', 'y'] },
  ],
  [
    'one reading may come as an object',
    { format: { type: 'json', rows: 'data' } },
    ['{"g":"x","data":{"a":1}}'],
    { 'a:double': [1], 'g:string': ['x'] },
  ],
  [
    'each line has its own surroundings',
    { format: { type: 'json', rows: 'r' } },
    ['{"g":1,"r":[{"a":1}]}\n{"g":2,"r":[{"a":2}]}'],
    { 'a:double': [1, 2], 'g:double': [1, 2] },
  ],
  ['a row without a field is none', {}, ['[{"a":1},{},{"a":null},{"a":2}]'], { 'a:double': [1, 2] }],
  ['a byte order mark is no part of it', {}, ['\ufeff{"a":1}'], { 'a:double': [1] }],
];
for (const [what, stream, payloads, columns] of rows)
  test(what, () => {
    const { tables, refusals } = routeAll([streamOf({ ...plain, ...stream })], payloads);
    assert.deepEqual(refusals, []);
    assert.deepEqual(columnsOf(tables['environment']), columns);
  });

const manyFields = JSON.stringify(Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`f${i}`, i])));
const refused: [what: string, stream: object, payload: string | Uint8Array, code: string, reason: RegExp][] =
  [
    ['no JSON', {}, '{oops', 'not_json', /not JSON/],
    ['no JSON on several lines', {}, '{\n"a":1,\n}', 'not_json', /not JSON/],
    ['a line that is none', {}, '{"a":1}\n\n{"a":', 'not_json', /^line 3: not JSON/],
    ['nothing', {}, '', 'not_json', /empty/],
    ['blanks', {}, ' \n', 'not_json', /empty/],
    ['bytes that are no UTF-8', {}, Buffer.from([0x22, 0xff, 0x22]), 'not_json', /not UTF-8/],
    ['an array of numbers', {}, '[1]', 'not_object', /element 0: expected a JSON object, found a number/],
    ['an empty array', {}, '[]', 'no_rows', /empty/],
    ['a number', {}, '21.5', 'not_object', /found a number/],
    ['null', {}, 'null', 'not_object', /found null/],
    ['no time', ts, '{"a":1}', 'no_time', /no member "ts"/],
    ['no time in one row', ts, '[{"ts":1,"a":1},{"a":1}]', 'no_time', /row 2: no member "ts"/],
    ['a time that is none', ts, '{"ts":"noon","a":1}', 'no_time', /"noon", which is no time in ms/],
    ['nothing to store', {}, '{"a":null}', 'no_field', /no member/],
    [
      'two names that are one',
      {},
      '{"Temp":1,"temp":2}',
      'name_clash',
      /"Temp" and "temp" would both be the column temp/,
    ],
    ['a path that is a name', {}, '{"a":{"b":1},"a.b":2}', 'name_clash', /two members "a.b"/],
    ['too many fields', {}, manyFields, 'too_many_fields', /1000/],
    ['what is nested too deep', {}, `${'{"a":'.repeat(17)}1${'}'.repeat(17)}`, 'too_deep', /16 deep/],
    ['no rows', { format: { type: 'json', rows: 'r' } }, '{"a":1}', 'no_rows', /"r" is missing/],
    ['empty rows', { format: { type: 'json', rows: 'r' } }, '{"r":[]}', 'no_rows', /empty/],
    ['rows that are none', { format: { type: 'json', rows: 'r' } }, '{"r":5}', 'no_rows', /"r" is a number/],
  ];
for (const [what, stream, payload, code, reason] of refused)
  test(`${what} is refused with a reason, and adds no row`, () => {
    const { tables, refusals } = routeAll([streamOf({ ...plain, ...stream })], [payload]);
    assert.equal(refusals[0]?.code, code, refusals[0]?.reason);
    assert.match(refusals[0].reason, reason);
    assert.deepEqual(tables, {});
  });

test('many rows that share much are refused before they take all memory', () => {
  const shared = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`s${i}`, i]));
  const payload = JSON.stringify({ ...shared, r: Array.from({ length: 2_000 }, () => ({ a: 1 })) });
  const { refusals } = routeAll([streamOf({ format: { type: 'json', rows: 'r' } })], [payload]);
  assert.equal(refusals[0]?.code, 'too_many_rows');
});
