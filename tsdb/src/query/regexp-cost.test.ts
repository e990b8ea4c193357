import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textBytesFor, type RegexpUse } from './regexp-cost.js';
import { regexpShape } from './regexp-shape.js';

const search: RegexpUse = { isGlobal: false, hasGroups: false, isFull: false, isByLine: false };
const all: RegexpUse = { ...search, isGlobal: true };

/** Any text will do: what people write, and the largest of its kind. */
const plain = [
  '^press-[0-9]{1,3}$',
  'error|warn(ing)?|fail(ed|ure)',
  '.*a.*e.*-1',
  '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d',
  '^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,6})?Z$',
  '[[:alpha:]]+ in (pump|motor|valve) \\d+',
  '(?i)Ölfilter',
  '\\Qa(b{900})\\E',
  'a'.repeat(250),
  Array.from({ length: 30 }, (_, at) => `press${at}`).join('|'),
  '[a-m][a-z]{7}!',
  '[0-9]{200}-',
  '[]a]{100}',
  '^[a-m][a-z]{100}!$',
  '',
];
for (const pattern of plain)
  test(`any text: ${pattern.slice(0, 80)}`, () =>
    assert.equal(textBytesFor(pattern, search), Number.POSITIVE_INFINITY));

/** Each has more states than there is room for, or more positions. */
const heavy: [pattern: string, atMost: number][] = [
  ['[a-m][a-z]{16}!', 1_600],
  ['[a-m].{20}!', 1_200],
  ['[a-m][a-z]{100}!', 700],
  ['(?:[a-m]|[a-z]){16}!', 1_600],
  ['(?P<x>[a-m]([a-z]){16})!', 1_600],
  ['((a|b){4}){4}c', 1_600],
  ['[\\]a-m][a-z]{16}!', 1_600],
  ['[[:alpha:]m][a-z]{16}!', 1_600],
  ['[^]]{16}a', 1_600],
  ['\\pL{16}a', 300],
  ['(|){200}', 200],
  ['([a-m]+[a-z]?x)*([a-m]+[a-z]?y)*[a-m]{4}z', 1_800],
  ['\\E[a-m][a-z]{16}!', 1_600],
  ['[a-m][a-z]{16}!)|b', 1_600],
  ['a'.repeat(251), 400],
  ['a{999}', 100],
];
for (const [pattern, atMost] of heavy)
  test(`short texts: ${pattern.slice(0, 80)}`, () => {
    const bytes = textBytesFor(pattern, search);
    assert.ok(bytes > 64 && bytes <= atMost, String(bytes));
  });

test('no text: more than RE2 reads in 2 ms, however it is written', () => {
  for (const pattern of [
    'a{1001}',
    '(a{40}){40}',
    '((a{10}){10}){11}',
    'a'.repeat(1_001),
    '\\pL{60}',
    `${'('.repeat(101)}a`,
  ])
    assert.equal(textBytesFor(pattern, search), 0, pattern.slice(0, 80));
});

test('`^` bounds it, but not in alternatives, nor by line', () => {
  const pattern = '^[a-m][a-z]{16}!';
  assert.equal(textBytesFor(pattern, search), Number.POSITIVE_INFINITY);
  assert.ok(textBytesFor(`${pattern}|[a-m][a-z]{16}?`, search) < 1_600);
  assert.ok(textBytesFor(pattern, { ...search, isByLine: true }) < 1_600);
  assert.ok(textBytesFor(`^.*${pattern.slice(1)}`, search) < 1_600);
  assert.equal(textBytesFor(pattern.slice(1), { ...search, isFull: true }), Number.POSITIVE_INFINITY);
});

test('many matches: each costs, and more where a short one is found on the way to a long one', () => {
  for (const pattern of [',', '\\s+', '<[^>]*>', '(\\d+)-(\\d+)', '[^a-z0-9]+'])
    assert.ok(textBytesFor(pattern, all) > 1_900, `${pattern} ${textBytesFor(pattern, all)}`);
  for (const pattern of ['a+b|a', 'a(b*c)?', '(a+b)*', '[a-z]+|[0-9]+', 'a{2,}b|a'])
    assert.ok(textBytesFor(pattern, all) < 550, pattern);
  for (const pattern of ['[a-z]{200}!|[a-z]', 'a(b{1,99}c)?', '(a{200}b)*a'])
    assert.ok(textBytesFor(pattern, all) < 900, `${pattern} ${textBytesFor(pattern, all)}`);
});

test('texts of groups cost by how long the match may be', () => {
  const groups = { ...search, hasGroups: true };
  assert.equal(textBytesFor('code ([0-9]{1,3})', groups), Number.POSITIVE_INFINITY);
  const bytes = textBytesFor('code ([0-9]+)', groups);
  assert.ok(bytes > 1_500 && bytes < 4_000, String(bytes));
  assert.ok(textBytesFor('((a?){40}[a-z]*)*', groups) < 500);
});

test('sets overlap by what they hold', () => {
  const free = (pattern: string) => regexpShape(pattern).free;
  assert.equal(free('[0-9]{12}-'), 0);
  assert.equal(free('\\d[0-9]\\d:[[:digit:]]'), 4); // a class by name may be anything
  assert.equal(free('[0-9]{12}5'), 12);
  assert.equal(free('[A-M]{3}[a-z]'), 4);
  assert.equal(free('[a\\-c]{3}b'), 0);
  assert.equal(free('[a-c]{3}b'), 3);
  assert.equal(free('.{3}'), 0);
  assert.equal(free('.{3}x'), 3);
  assert.equal(free('[^x]{3}x'), 3);
  assert.equal(free('(abc)?'), 1);
  assert.equal(free('[0-9]{1,3}'), 2);
  assert.equal(free('[0-9]+'), 0);
});
