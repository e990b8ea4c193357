import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import type { Params } from './bind-params.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';

// Every call is given one text of 60 KB that it takes longest for: without a bound, seconds for one row, which nobody can end.
let fixture: QueryFixture;
before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put({
    table: 'notes',
    tags: ['device'],
    fields: { note: 'string', same: 'string', mixed: 'string', accents: 'string', object: 'string' },
    files: [
      `select timestamptz '2026-01-01' + to_seconds(i) as time, 'press-' || i as device,
       'code 42, error in pump ' || i as note, repeat('a', 60000) as same,
       (select string_agg(chr((97 + (hash(j) >> 20) % 2)::int), '') from range(60000) q(j)) as mixed,
       '{' || array_to_string(list_transform(range(4000), x -> '"key-' || x || '":1'), ',') || '}' as object,
       'e' || repeat(chr(769) || chr(803), 15000) as accents,
       date '2026-01-01' as day from range(3) r(i)`,
    ],
  });
  await fixture.startEngine();
});
after(() => fixture.close());

interface Answer {
  readonly columns: readonly { readonly name: string }[];
  readonly rows: readonly (readonly unknown[])[];
}

async function ask(sql: string, params: Params = []): Promise<Answer> {
  const answer = await fixture.engine.query({ sql, params }, new AbortController().signal);
  let text = '';
  for await (const piece of renderAnswer(answer)) text += String(piece);
  return JSON.parse(text) as Answer;
}

const of = (expression: string) => `select ${expression} from notes order by time limit 1`;
const many = (text: string, count: number) => text.repeat(count);

const tooLong: [expression: string, ...params: string[]][] = [
  // Regular expressions with too many states, whatever asks for them.
  ["regexp_matches(mixed, 'a[ab]{60}c')"],
  ["mixed.regexp_matches('a[ab]{60}c')"],
  ["notes.mixed.regexp_matches('a[ab]{60}c')"],
  ["mixed ~ '.*a[ab]{60}c'"],
  ["mixed !~ '.*a[ab]{60}c'"],
  ["mixed similar to '.*a[ab]{60}c'"],
  ["regexp_full_match(mixed, '.*a[ab]{60}c')"],
  ["regexp_extract(mixed, 'a[ab]{60}c')"],
  ["regexp_replace(mixed, 'a[ab]{60}c', '')"],
  ["regexp_matches(mixed, concat('a[ab]', '{60}c'))"],
  ["regexp_matches(mixed || '', 'a[ab]{60}c')"],
  ["regexp_matches(left(mixed, 20000), 'a[ab]{60}c')"],
  ["list_filter([mixed], lambda m: regexp_matches(m, 'a[ab]{60}c'))"],
  [`regexp_matches(same, '${many('a', 999)}b', 'i')`],
  ['regexp_matches(mixed, $1)', 'a[ab]{30}c'],
  ["regexp_matches(mixed, 'a' || $1, $2)", '[ab]{30}c', 'i'],
  // Texts of groups.
  ["regexp_extract(mixed, '(a*)(b*)(.*)', 3)"],
  ["regexp_extract(mixed, '(a*)(b*)', ['x', 'y'])"],
  ["regexp_replace(mixed, '(.*)b(.*)', '\\2')"],
  // Many matches.
  ["regexp_replace(same, 'a+b|a', '', 'g')"],
  ["regexp_replace(same, 'a', '', 'g')"],
  ['regexp_replace(same, $1, $2, $3)', 'a+b|a', '', 'g'],
  ["regexp_extract_all(same, 'a+b|a')"],
  ["regexp_split_to_array(same, 'a+b|a')"],
  ["string_split_regex(same, 'a+b|a')"],
  ["regexp_split_to_table(same, 'a+b|a')"],
  // What is sought is long too.
  [`contains(same, '${many('a', 9_999)}b')`],
  ['contains(same, $1)', `${many('a', 9_999)}b`],
  ["contains(same, left(same, 30000) || 'b')"],
  ["strpos(same, left(same, 30000) || 'b')"],
  ["instr(same, left(same, 30000) || 'b')"],
  ["position(left(same, 30000) || 'b' in same)"],
  ["replace(same, left(same, 30000) || 'b', '')"],
  ["string_split(same, 'a')"],
  ["split_part(same, 'a', -1)"],
  ["translate(same, 'a', 'b')"],
  // Distances.
  ['levenshtein(same, mixed)'],
  ["levenshtein(same, 'press-1')"],
  ["levenshtein('press-1', same)"],
  ['levenshtein(same, $1)', 'press-1'],
  ['editdist3(same, mixed)'],
  ['damerau_levenshtein(same, mixed)'],
  ['jaro_similarity(same, mixed)'],
  ['jaro_winkler_similarity(same, mixed)'],
  ['nfc_normalize(accents)'],
  ['json_merge_patch(object::json, object::json)'],
  // What goes back over a text for every letter of a pattern.
  [`same glob '*${many('a', 90)}b*'`],
  [`same like '%${many('_', 90)}b%'`],
  [`same ilike '%${many('_', 90)}b%'`],
  [`same like '%${many('a', 90)}b%' escape '#'`],
  ['same glob $1', `*${many('a', 90)}b*`],
  ['same like $1', `%${many('_', 90)}b%`],
];
for (const [expression, ...params] of tooLong)
  test(`too long: ${expression.slice(0, 100)} ${params.join().slice(0, 40)}`, async () => {
    const startedMs = performance.now();
    await assert.rejects(ask(of(expression), params), (error) => {
      assert.ok(isFailure(error, 'sql_not_allowed'), String(error));
      assert.match(error.message, /^a text is too long for .*, which nobody could end in time: here /);
      assert.match(String(error.hint), /left\(note, 500\)/);
      return true;
    });
    assert.ok(performance.now() - startedMs < 1_000);
  });

/** A pattern that fits no text, or that nobody has seen before rows come. */
const refused: [expression: string, ...params: string[]][] = [
  ['regexp_matches(note, device)'],
  ['note ~ device'],
  ["note similar to (device || '.*')"],
  ['regexp_full_match(note, device)'],
  ["regexp_replace(note, device, '')"],
  ['regexp_extract(note, device)'],
  ['regexp_extract_all(note, device)'],
  ['string_split_regex(note, device)'],
  ["regexp_matches(note, repeat('a', 9))"],
  ["note.regexp_matches('.*a.*b', 's')"],
  ["regexp_matches(note, '(a{40}){40}')"],
  ["regexp_replace(note, '([a-z]+[0-9a-f]{32})?', '', 'g')"],
  ["note collate nfc = 'x'"],
  ["contains(*columns(['note', 'same']))"],
  ["error('a text is too long for me')"],
];
for (const [expression] of refused)
  test(`refused: ${expression}`, () =>
    assert.rejects(ask(of(expression)), (error) => isFailure(error, 'sql_not_allowed')));

test('a parameter that fits no text is refused where it is bound, and the next one answered', async () => {
  const sql = of('regexp_matches(note, $1)');
  for (const pattern of ['(a{40}){40}', 'a[ab]{400}c'])
    await assert.rejects(ask(sql, [pattern]), (error) => isFailure(error, 'bad_param'));
  assert.deepEqual((await ask(sql, ['pump [0-9]+$'])).rows, [[true]]);
  assert.deepEqual((await ask(sql, ['[a-z]{2}[a-m]{12}|pump'])).rows, [[true]]);
});

const answered: [expression: string, answer: unknown, ...params: string[]][] = [
  ["regexp_matches(device, '^press-[0-9]{1,3}$')", true],
  ["contains(note, 'error')", true],
  ['contains(note, $1)', true, 'error'],
  ['contains(note, device)', false],
  ['contains([1, 2], 2)', true],
  ["levenshtein(device, 'prss-3')", 2],
  ['levenshtein(device, $1)', 2, 'prss-3'],
  ["damerau_levenshtein('prss-3', device)", 2],
  ["round(jaro_winkler_similarity(device, 'prss-0'), 1)", 1],
  ["regexp_extract(note, 'code ([0-9]+)', 1)", '42'],
  ["regexp_replace(note, '[0-9]+', '#', 'g')", 'code #, error in pump #'],
  ["regexp_extract_all(note, '[a-z]+|[0-9]+')", ['code', '42', 'error', 'in', 'pump', '0']],
  ["string_split(note, ' ')", ['code', '42,', 'error', 'in', 'pump', '0']],
  ["regexp_replace(regexp_replace(note, '[a-z]+,?', '', 'g'), '\\s+', '', 'g')", '42,0'],
  ["note glob '*error*pump*'".replace('*pump', ''), true],
  ["note similar to '.*(pump|motor) [0-9]+'", true],
  ['note ~ $1', true, '.*(pump|motor) [0-9]+'],
  ['nfc_normalize(device)', 'press-0'],
  ["json_merge_patch(json_object('d', device), json_object('e', 1))", '{"d":"press-0","e":1}'],
  ["device.upper().contains('PRESS')", true],
  ['notes.device.upper()', 'PRESS-0'],
  ['regexp_matches(null, $1)', null, 'a[ab]{30}c'],
  // Long texts, where that is quick.
  ["regexp_matches(mixed, 'a[ab]{7}c')", false],
  ['regexp_matches(same, $1)', false, 'a[ab]{7}c'],
  ["regexp_matches(left(mixed, 500), 'a[ab]{60}c')", false],
  ["regexp_extract(same, '[0-9]{4}', 0)", ''],
  [`contains(same, '${many('a', 250)}b')`, false],
  ["same like '%a%a%a%b'", false],
  ["same ilike '%aaaaaaaaab%'", false],
  ["levenshtein(same, 'b')", 60_000],
  ["length(replace(same, 'a', 'b'))", 60_000],
];
for (const [expression, answer, ...params] of answered)
  test(`answered: ${expression.slice(0, 100)} ${params.join()}`, async () =>
    assert.deepEqual((await ask(of(expression), params)).rows, [[answer]]));

test('columns keep the names that DuckDB gives them, and places in a query what they mean', async () => {
  const distance = "levenshtein(device, 'press-1')";
  const { columns, rows } = await ask(
    `select ${distance}, count(*) from notes where ${distance} < 2 group by ${distance} having ${distance} >= 0 order by ${distance}`,
  );
  assert.deepEqual(
    columns.map(({ name }) => name),
    [distance, 'count_star()'],
  );
  assert.deepEqual(rows, [
    [0, 1],
    [1, 2],
  ]);
  const named = await ask(`select l + 1 from (select ${distance} as l from notes) where l = 1 limit 1`);
  assert.deepEqual(named.rows, [[2]]);
});

test('calls in calls double what is written, so that only a few may', async () => {
  const nested = (count: number) =>
    `${'regexp_replace('.repeat(count)}note${", 'x+y|x', '', 'g')".repeat(count)}`;
  assert.deepEqual((await ask(of(nested(4)))).rows, [['code 42, error in pump 0']]);
  await assert.rejects(ask(of(nested(5))), (error) => {
    assert.ok(isFailure(error, 'sql_not_allowed'));
    assert.match(error.message, /more than 4 deep/);
    return true;
  });
  const quick = `${'regexp_replace('.repeat(40)}note${", 'x+y', '')".repeat(40)}`;
  assert.deepEqual((await ask(of(quick))).rows, [['code 42, error in pump 0']]);
});

test('a query with many rows of it can be ended at once', async () => {
  const timeoutMs = 500;
  const startedMs = performance.now();
  const sql =
    'select count(*) from range(400000) r(i), notes where levenshtein(left(mixed, 300), left(same, 300) || i) = 0';
  await assert.rejects(fixture.engine.query({ sql, timeoutMs }, new AbortController().signal), (error) =>
    isFailure(error, 'query_timeout'),
  );
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs < timeoutMs + 4_000, `${Math.round(tookMs)} ms`);
});
