import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { csvDecoder, csvOptionsOf, parseLines, splitLines, type CsvOptions } from './csv.js';
import { decodePlain } from './decoders.test.fixture.js';
import { Refusal } from './decoder.js';
import { columnsOf, routeAll, streamOf } from './streams.test.fixture.js';

/** Cells that are empty are left out. */
const read: [what: string, options: CsvOptions, payload: string, rows: Record<string, string>[]][] = [
  // RFC 4180 §2, by number.
  ['1: lines end in CRLF', {}, 'a,b\r\n1,2\r\n', [{ a: '1', b: '2' }]],
  ['2: the last line need not end', {}, 'a,b\r\n1,2', [{ a: '1', b: '2' }]],
  [
    '3: a header line, or none',
    { columns: ['a', 'b'] },
    '1,2\r\n3,4',
    [
      { a: '1', b: '2' },
      { a: '3', b: '4' },
    ],
  ],
  ['5: cells may be quoted', {}, '"a",b\r\n"1",2', [{ a: '1', b: '2' }]],
  ['6: with line breaks, quotes and commas', {}, 'a,b\r\n"b\r\nb","c,c"', [{ a: 'b\r\nb', b: 'c,c' }]],
  ['7: a quote in a quoted cell is doubled', {}, 'a\r\n"b""b"', [{ a: 'b"b' }]],
  [
    'lines that end in LF',
    {},
    'a,b\n1,2\n3,4\n',
    [
      { a: '1', b: '2' },
      { a: '3', b: '4' },
    ],
  ],
  ['another delimiter', { delimiter: ';' }, 'a;b\n1,5;2', [{ a: '1,5', b: '2' }]],
  ['tabs', { delimiter: '\t' }, 'a\tb\n1\t2', [{ a: '1', b: '2' }]],
  ['empty cells', {}, 'a,b\n,2\n1,\n', [{ b: '2' }, { a: '1' }]],
  ['blanks around cells', {}, ' a , b \n 1 , 2 ', [{ a: '1', b: '2' }]],
  ['a column without a name', {}, 'a,\n1,2', [{ a: '1', column_2: '2' }]],
  ['blank lines', {}, 'a\n\n1\n\n2\n', [{ a: '1' }, { a: '2' }]],
  ['a byte order mark', {}, '\ufeffa\n1', [{ a: '1' }]],
];
for (const [what, options, payload, expected] of read)
  test(`${what}: read`, () => {
    const rows = decodePlain(csvDecoder(options), payload);
    assert(!(rows instanceof Refusal), JSON.stringify(rows));
    const plain = rows.map(({ entries }) =>
      Object.fromEntries(entries.map(([name, , value]) => [name, value])),
    );
    assert.deepEqual(plain, expected);
  });

const refused: [what: string, options: CsvOptions, payload: string, code: string, reason: RegExp][] = [
  ['nothing', {}, '', 'no_rows', /empty/],
  ['a header line alone', {}, 'a,b\n', 'no_rows', /only a header/],
  ['a cell too many', {}, 'a,b\n1,2,3', 'not_csv', /line 2/],
  ['a cell too few', {}, 'a,b\n1,2\n1', 'not_csv', /line 3/],
  ['another number of columns', { columns: ['a'] }, '1,2', 'not_csv', /line 1 has 2 cells, not 1/],
  ['a quote that is not closed', {}, 'a\n"1', 'not_csv', /quote/i],
];
for (const [what, options, payload, code, reason] of refused)
  test(`${what}: refused`, () => {
    const refusal = decodePlain(csvDecoder(options), payload);
    assert(refusal instanceof Refusal, JSON.stringify(refusal));
    assert.equal(refusal.code, code);
    assert.match(refusal.reason, reason);
  });

test('cells become what they look like, or what they are declared', () => {
  const payload =
    'ts,temp,ok,serial,id\n1795300046309,21.5,true,007,12345678901234567890\n1795300046310,,x,7,5\n';
  const stream = streamOf({ format: 'csv', time: { path: 'ts', unit: 'ms' }, topic: '#' });
  const { tables, refusals } = routeAll([stream], [payload]);
  assert.deepEqual(refusals, []);
  assert.deepEqual(columnsOf(tables['environment']), {
    'id:double': [null, 5],
    'id__string:string': ['12345678901234567890', null],
    'ok:boolean': [1, null],
    'ok__string:string': [null, 'x'],
    'serial:double': [7, 7],
    'temp:double': [21.5, null],
  });
  const fields = { serial: 'string', id: 'long' };
  const declared = routeAll([streamOf({ format: 'csv', topic: '#', fields })], [payload]);
  assert.deepEqual(columnsOf(declared.tables['environment']), {
    'id__string:string': ['12345678901234567890', null],
    'id:long': [null, 5],
    'serial:string': ['007', '7'],
  });
});

test('two columns of one name are refused', () => {
  const { refusals } = routeAll([streamOf({ format: 'csv' })], ['a,A\n1,2']);
  assert.equal(refusals[0]?.code, 'name_clash');
});

test('without quotes, splitting is what the parser does', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', '1', ' ', ',', ',', '\n', '\r\n', '\r', 'ä'),
    maxLength: 30,
  });
  fc.assert(
    fc.property(text, (payload) => {
      const parsed = parseLines(payload, csvOptionsOf(','));
      const split = splitLines(payload, ',');
      if (parsed instanceof Refusal) assert(split instanceof Refusal, payload);
      else assert.deepEqual(split, parsed);
    }),
    { numRuns: 5_000 },
  );
});
