import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodePlain, type PlainEntry, type PlainRow } from './decoders.test.fixture.js';
import { Refusal } from './decoder.js';
import { lineProtocolDecoder } from './line-protocol.js';
import { columnsOf, routeAll, streamOf } from './streams.test.fixture.js';

const decode = lineProtocolDecoder();

test('the examples of the specification are read as it says', () => {
  const golden = (name: string) => new URL(`../../src/decode/golden/${name}`, import.meta.url);
  const rows = decodePlain(decode, readFileSync(golden('line-protocol.lp')));
  assert(!(rows instanceof Refusal), rows instanceof Refusal ? rows.reason : '');
  const lines = rows.map((row) =>
    JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)),
  );
  const expected = readFileSync(golden('line-protocol.expected.jsonl'), 'utf8').trimEnd().split('\n');
  assert.deepEqual(lines, expected);
});

const long = (name: string, value: number | bigint): PlainEntry => [name, 'long', value];
const double = (name: string, value: number): PlainEntry => [name, 'double', value];
const text = (name: string, value: string): PlainEntry => [name, 'string', value];
const tag = (name: string, value: string): PlainEntry => [name, 'tag', value];
const m = (entries: PlainEntry[], time?: string): PlainRow[] => [
  { entries, ...(time !== undefined && { time }), measurement: 'm' },
];

const read: [what: string, payload: string, rows: PlainRow[]][] = [
  ['an integer', 'm a=42i', m([long('a', 42)])],
  ['an integer beyond 2^53', 'm a=9007199254740993i', m([long('a', 9_007_199_254_740_993n)])],
  ['an unsigned integer that fits in 63 bits', 'm a=9223372036854775807u', m([long('a', 2n ** 63n - 1n)])],
  ['one that does not', 'm a=9223372036854775808u', m([text('a', '9223372036854775808')])],
  ['floats', 'm a=.5,b=5.,c=-1e3', m([double('a', 0.5), double('b', 5), double('c', -1_000)])],
  ['an empty text', 'm a=""', m([text('a', '')])],
  ['a text with all that separates', 'm a="x, =\ny"', m([text('a', 'x, =\ny')])],
  ['backslashes in a text', String.raw`m a="\n\\\"\z"`, m([text('a', String.raw`\n\"\z`)])],
  ['a text that ends in a backslash', String.raw`m a="x\\"`, m([text('a', 'x\\')])],
  [
    'escapes in a tag',
    String.raw`m,a\,b\ c\=d=e\,f\ g\=h x=1`,
    m([tag('a,b c=d', 'e,f g=h'), double('x', 1)]),
  ],
  [
    'a backslash before anything else',
    String.raw`m,a=b\c\\d x=1`,
    m([tag('a', String.raw`b\c\\d`), double('x', 1)]),
  ],
  [
    'a backslash before an escape',
    String.raw`m,a=b\\,c x=1`,
    m([tag('a', String.raw`b\,c`), double('x', 1)]),
  ],
  ['lines and tabs in a tag', String.raw`m,a=b\nc\td\re x=1`, m([tag('a', 'b\nc\td\re'), double('x', 1)])],
  ['quotes are part of a tag', `m,a="b",c='d' x=1`, m([tag('a', '"b"'), tag('c', "'d'"), double('x', 1)])],
  ['an escaped field key', String.raw`m a\ b=1`, m([double('a b', 1)])],
  ['spaces around and between', '   m   a=1   5   ', m([double('a', 1)], '5')],
  ['a carriage return at the end', 'm a=1 5\r\n', m([double('a', 1)], '5')],
  ['and of the payload', 'm a=1 5\r', m([double('a', 1)], '5')],
  ['nanoseconds', 'm a=1 1795300046309123456', m([double('a', 1)], '1795300046309123456')],
  ['blank lines and comments', '\n# m a=2\n  # "\n\nm a=1\n\r\n', m([double('a', 1)])],
  ['an = in a measurement', 'm=n a=1', [{ entries: [double('a', 1)], measurement: 'm=n' }]],
];
for (const [what, payload, rows] of read)
  test(`${what}: read`, () => assert.deepEqual(decodePlain(decode, payload), rows));

const refused: [what: string, payload: string, code: string, reason: RegExp][] = [
  ['nothing', '', 'no_rows', /no line holds a point/],
  ['only comments', '# a\n', 'no_rows', /no line/],
  ['no fields', 'm', 'not_line_protocol', /^line 1: there are no fields/],
  ['no fields behind a tag', 'm,a=b \n', 'not_line_protocol', /no fields/],
  ['no measurement', ',a=b x=1', 'not_line_protocol', /the measurement is empty/],
  ['a tag without a value', 'm,a x=1', 'not_line_protocol', /tag "a" has no value/],
  ['an empty tag', 'm,a= x=1', 'not_line_protocol', /value of tag "a" is empty/],
  ['an = in a tag', 'm,a=b=c x=1', 'not_line_protocol', /write \\=/],
  ['a field without a value', 'm a', 'not_line_protocol', /field "a" has no value/],
  ['a text without its end', 'm a="x', 'not_line_protocol', /closing quote/],
  ['a word', 'm a=yes', 'not_line_protocol', /field "a" is "yes"/],
  ['a fraction that is an integer', 'm a=1.5i', 'not_line_protocol', /"1.5i"/],
  ['a negative unsigned integer', 'm a=-1u', 'not_line_protocol', /"-1u"/],
  ['an integer beyond 64 bits', 'm a=9223372036854775808i', 'not_line_protocol', /9223372036854775808i/],
  ['an unsigned one beyond 64 bits', 'm a=18446744073709551616u', 'not_line_protocol', /u/],
  ['a number beyond doubles', 'm a=1e999', 'not_line_protocol', /1e999/],
  ['a time that is none', 'm a=1 noon', 'not_line_protocol', /"noon" is no timestamp/],
  ['a time beyond 64 bits', 'm a=1 9223372036854775808', 'not_line_protocol', /no timestamp/],
  ['more behind the time', 'm a=1 5 6', 'not_line_protocol', /"6" behind the timestamp/],
  ['text behind a text', 'm a="x"y', 'not_line_protocol', /"y" where a comma/],
  ['the line', 'm a=1\n# c\n\nm a=\n', 'not_line_protocol', /^line 4: field "a" is ""/],
  ['the line behind a text of several', 'm a="x\ny"\nm', 'not_line_protocol', /^line 3:/],
];
for (const [what, payload, code, reason] of refused)
  test(`${what}: refused`, () => {
    const refusal = decodePlain(decode, payload);
    assert(refusal instanceof Refusal, JSON.stringify(refusal));
    assert.equal(refusal.code, code);
    assert.match(refusal.reason, reason);
  });

const lines = [
  'cpu,host=a usage=0.5,n=9007199254740993i 1556813561098000999',
  'cpu,host=b,rack=1 usage=1 1556813561098001000',
  'mem,host=a free=5i',
].join('\n');

test('tags are tags, the measurement too, and nanoseconds are cut off', () => {
  const { tables, refusals } = routeAll([streamOf({ topic: '#', format: 'line_protocol' })], [lines]);
  assert.deepEqual(refusals, []);
  assert.deepEqual([...(tables['environment']?.timeUs ?? [])], [1556813561098000, 1556813561098001, 1e6]);
  assert.deepEqual(columnsOf(tables['environment']), {
    host: ['a', 'b', 'a'],
    measurement: ['cpu', 'cpu', 'mem'],
    rack: [null, '1', null],
    'free:long': [null, null, 5],
    'n:long': [9_007_199_254_740_993n, 0n, 0n].map((value, row) => (row === 0 ? value : null)),
    'usage:double': [0.5, 1, null],
  });
});

test('each measurement may be a table, and all are refused with the one that may not', () => {
  const stream = { topic: '#', format: 'line_protocol', table: 'lp_{measurement}', drop: ['rack'] };
  const { tables } = routeAll([streamOf(stream)], [lines]);
  assert.deepEqual(Object.keys(tables), ['lp_cpu', 'lp_mem']);
  assert.deepEqual(columnsOf(tables['lp_mem']), { host: ['a'], 'free:long': [5] });
  assert.deepEqual(columnsOf(tables['lp_cpu'])['host'], ['a', 'b']);
  const few = routeAll([streamOf({ ...stream, max_tables: 1 })], [lines]);
  assert.equal(few.refusals[0]?.code, 'too_many_tables');
  assert.deepEqual(few.tables, {});
});

test('a precision, and a field of its own for the time', () => {
  const withPrecision = { topic: '#', format: { type: 'line_protocol', precision: 's' } };
  const seconds = routeAll([streamOf(withPrecision)], ['m a=1 1556813561']);
  assert.deepEqual([...(seconds.tables['environment']?.timeUs ?? [])], [1556813561e6]);
  const arrival = routeAll([streamOf({ ...withPrecision, time: 'arrival' })], ['m a=1 1556813561']);
  assert.deepEqual([...(arrival.tables['environment']?.timeUs ?? [])], [1e6]);
  const time = { path: 'at', unit: 'ns' };
  const member = routeAll([streamOf({ ...withPrecision, time })], ['m a=1,at=1556813561098000999i']);
  assert.deepEqual([...(member.tables['environment']?.timeUs ?? [])], [1556813561098000]);
});
