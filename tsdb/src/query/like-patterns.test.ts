import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { isFailure } from '@varve/common/errors.js';
import type { Params } from './bind-params.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';

// `long` is what patterns take longest for: 250 times the same letter, in no two rows the same.
let fixture: QueryFixture;
before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put({
    table: 'notes',
    tags: ['device'],
    fields: { note: 'string', long: 'string' },
    files: [
      `select timestamptz '2026-01-01' + to_seconds(i) as time, 'hall_' || (i % 2) || '/Press-' || (i % 3) as device,
       'Ölfilter GEWECHSELT, 50 %' as note, i || repeat('a', 250) as long, date '2026-01-01' as day from range(2048) r(i)`,
    ],
  });
  await fixture.startEngine();
});
after(() => fixture.close());

async function ask(sql: string, params: Params = []): Promise<unknown> {
  const answer = await fixture.engine.query({ sql, params }, new AbortController().signal);
  let text = '';
  for await (const piece of renderAnswer(answer)) text += String(piece);
  return (JSON.parse(text) as { rows: unknown[][] }).rows[0]?.[0];
}

/** Not run: where one is let through by mistake, it would take years. */
const plan = (sql: string, params: Params = []) => fixture.engine.plan({ sql, params });

const count = (condition: string) => `select count(*) from notes where ${condition}`;

/** Eight wildcards: for years. */
const stars = '*a'.repeat(8) + 'b';
const percents = '%a'.repeat(8) + 'b';

const refused: string[] = [
  `long like '${percents}_'`,
  `long not like '${percents}_'`,
  `long ~~ '${percents}_'`,
  `long !~~ '${percents}_'`,
  `"~~"(long, '${percents}_')`,
  `main."~~"(long, '${percents}_')`,
  `long like '${percents}' escape '#'`,
  `long not like '${percents}' escape '#'`,
  `long like '${percents}' escape ''`,
  `long like '${percents}' collate nocase`,
  `long collate nocase like '${percents}'`,
  `l like '${percents}' from (select long collate nocase as l from notes)`,
  `long ilike '${percents}_'`,
  `long not ilike '${percents}_'`,
  `long ~~* '${percents}_'`,
  `long !~~* '${percents}_'`,
  `long ilike '${percents}' escape '#'`,
  `long not ilike '${percents}' escape '#'`,
  `like_escape(long, '${percents}', '#')`,
  `not_ilike_escape(long, '${percents}', '#')`,
  `long glob '${stars}'`,
  `long ~~~ '${stars}'`,
  `"~~~"(long, '${stars}')`,
  // The least that is too much.
  `long like '%a%_'`,
  `long like 'a%a%_b%'`,
  `long glob '*a*b'`,
  `long like '%${'_'.repeat(100)}'`,
  // Joined, and changed.
  `long like '%_' || '${percents}'`,
  `long glob concat('*', '*a', '*b')`,
  `long glob lower('*A*B')`,
  `long like ('%_%b'::varchar)`,
  // With the rows.
  'long like device',
  `device like 'hall' || note`,
  'long ilike device',
  'long not like device',
  'long glob device',
  "long like device escape '#'",
  "long like '%a' escape device",
  `long like (select '${percents}')`,
  `long like p from notes, (select '${percents}' as p)`,
  `len(list_filter(['${percents}'], lambda p: long like p)) > 0`,
  `long like case when device > '' then '${percents}' else '' end`,
  `long like repeat('%a', 8)`,
  `long like replace('${stars}', '*', '%')`,
  "\"~~\"(*columns(['long', 'device']))",
  "like_escape(*columns(['long', 'device']), '#')",
  "regexp_matches(*columns(['long', 'device']), 's')",
  // What becomes a LIKE.
  `regexp_matches(long, '${'.*a'.repeat(8)}b.', 's')`,
  `regexp_matches(long, '(?s)${'.*a'.repeat(8)}b.')`,
  `regexp_matches(long, '(?i)(?s:${'.*a'.repeat(8)}b.)')`,
  `regexp_matches(long, '${'(?:.)*a'.repeat(8)}b.', lower('S'))`,
  `regexp_matches(long, '${'.'.repeat(101)}', 's')`,
  `regexp_matches(long, coalesce('${'.*a'.repeat(8)}b.', device), 's')`,
];
for (const condition of refused)
  test(`refused: ${condition}`, async () => {
    const sql = condition.includes(' from ') ? `select ${condition}` : count(condition);
    await assert.rejects(plan(sql), (error) => isFailure(error, 'sql_not_allowed'));
  });

test('refused wherever it stands, and where it chooses columns', async () => {
  const bad = `long glob '${stars}'`;
  for (const sql of [
    `select ${bad} from notes`,
    `select count(*) filter (where ${bad}) from notes`,
    `select 1 from notes a join notes b on a.${bad}`,
    `with a as (select * from notes where ${bad}) select count(*) from a`,
    `select time_bucket_gapfill('1 minute', time), count(*) from notes where ${bad} group by 1`,
    `select * ilike '${percents}' from notes`,
    `select columns(c -> c glob '${stars}') from notes`,
  ])
    await assert.rejects(plan(sql), (error) => isFailure(error, 'sql_not_allowed'), sql);
});

test('says what is wrong, where, and what to write instead', async () => {
  await assert.rejects(ask(`select 1 from notes\nwhere long glob '*a*b'`), (error) => {
    assert.ok(isFailure(error, 'sql_not_allowed'));
    assert.match(
      error.message,
      /^GLOB and ILIKE, and LIKE with _, .* take one wildcard besides one at the end/,
    );
    assert.match(String(error.hint), /lower\(device\) like '%a%b%c%'/);
    assert.equal(error.facts['line'], 2);
    return true;
  });
});

const refusedParams: [condition: string, ...params: (string | string[])[]][] = [
  ['long like $1', `${percents}_`],
  ['long not like ?', `${percents}_`],
  ["long like '%' || $1 || '%'", `a_${percents}`],
  ["long like '_' || $1", percents],
  ['long ilike $1', `${percents}_`],
  ["long ilike concat('%', $1, '_')", 'a%b'],
  ['long glob $1', stars],
  ["long glob '*' || $1", 'a*b'],
  ["long glob concat('*', lower($1))", 'A*B'],
  ['long glob $1::varchar', stars],
  ['long like $1::varchar', [`${percents}_`]],
  ["long like $1 escape '#'", percents],
  ['long like $1 escape $2', percents, '#'],
  ['long like $1 collate nocase', percents],
  ['long like $1', `%${'_'.repeat(100)}`],
  ["regexp_matches(long, $1, 's')", `${'.*a'.repeat(8)}b.`],
  ['regexp_matches(long, $1, $2)', `${'.*a'.repeat(8)}b.`, 's'],
  ['regexp_matches(long, $1)', `(?s)${'.*a'.repeat(8)}b.`],
];
for (const [condition, ...params] of refusedParams)
  test(`refused with ${JSON.stringify(params)}: ${condition}`, async () => {
    await assert.rejects(plan(count(condition), params), (error) => isFailure(error, 'bad_param'));
    // Also where the statement is known, by what is no pattern of that kind.
    assert.equal(
      typeof (await ask(
        count(condition),
        params.map(() => ''),
      )),
      'number',
    );
    await assert.rejects(plan(count(condition), params), (error) => isFailure(error, 'bad_param'));
  });

test('a parameter by name is looked at too', async () => {
  const sql = count('long glob $pattern and device <> $device');
  assert.equal(await ask(sql, { pattern: '*a', device: '' }), 2_048);
  await assert.rejects(plan(sql, { pattern: stars, device: '' }), (error) => isFailure(error, 'bad_param'));
});

const answered: [condition: string, rows: number, ...params: string[]][] = [
  ["device like 'hall_1/%'", 1_024],
  ["device like '%/Press-1'", 683],
  ["device like '%_1/%'", 1_024],
  ["device like 'hall#_1/%' escape '#'", 1_024],
  ["note like '%50 #%%' escape '#'", 2_048],
  ["note like '%a%#%%' escape '%'", 0],
  ["note not like '%x%'", 2_048],
  ["note ilike '%gewechselt%'", 2_048],
  ["note ilike '%ÖLFILTER%gewechselt%50%\\%'", 0],
  ["note ilike '%ölfilter%gewechselt%50%'", 2_048],
  ["note not ilike '%ÖLFILTER%gewechselt%50%'", 0],
  ["note ilike '%%%ÖL%%%%5%%%'", 2_048],
  ["note ilike 'ölfilter_gewechselt%'", 2_048],
  ["device glob '*Press*'", 2_048],
  ["device glob 'hall_[01]/Press-?'", 2_048],
  ["device glob 'hall*/***'", 2_048],
  ['device like null', 0],
  ['note like $1', 2_048, '%GEWECHSELT%'],
  ["note like '%' || $1 || '%'", 2_048, 'filter%50'],
  ["note ilike '%' || $1 || '%'", 2_048, 'FILTER%GEW%50'],
  ['note ilike $1', 2_048, '%gew%5_%'.replace('%gew', 'ölfilter gew')],
  ['device glob $1', 683, '*-1'],
  ["device like concat($1, '%')", 1_024, 'hall_1'],
  ['device ~ $1', 683, '.*a.*e.*-1'],
  ["device similar to '.*a.*s.*-1'", 683],
  ["regexp_matches(device, '.*h.*l.*-1')", 683],
  ["regexp_full_match(device, '.*h.*l.*-1', 's')", 683],
  ["regexp_matches(device, 'press', 'i')", 2_048],
  ["regexp_matches(note, 'r.GEW', 's')", 2_048],
];
for (const [condition, rows, ...params] of answered)
  test(`answered: ${condition} ${params.join()}`, async () =>
    assert.equal(await ask(count(condition), params), rows));

test('ILIKE with many wildcards is what DuckDB says it is', async () => {
  const texts = ['İstanbul', 'STRASSE ẞ', 'ΣΑΣ', 'ÄÖÜ', 'Kelvin', 'ſ', 'aXbXc'];
  const patterns = ['%i%S%t%', '%s%S%ß', '%σ%α%σ', '%Ä%ö%ü%', '%k%L%n%', '%s%%', '%A%b%C%'];
  const values = (items: string[]) => items.map((item) => `('${item}')`).join();
  const shown = patterns.map((pattern) => `sum((v ilike '${pattern}')::int)`).join(` || ' ' || `);
  const sql = `select ${shown} from (values ${values(texts)}) t(v)`;
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(sql);
  assert.equal(await ask(sql), reader.getRows()[0]?.[0]);
  connection.closeSync();
  instance.closeSync();
});

/** Each takes years where DuckDB goes back, and the slowest of what goes back that is let through. */
const quick: [condition: string, ...params: string[]][] = [
  [`long like '${percents}'`],
  [`long like '${'%a'.repeat(2_000)}b%'`],
  [`long ilike '${percents}%'`],
  [`long not ilike '${percents}%'`],
  ['long like $1', percents],
  ["long like '%' || $1 || '%'", percents],
  ['long ilike $1', `${percents}%`],
  ["long ilike '%' || lower($1)", percents],
  [`long similar to '${'.*a'.repeat(8)}b.'`],
  ['long ~ $1', `(?s)${'.*a'.repeat(8)}b.`],
  [`regexp_full_match(long, '${'.*a'.repeat(8)}b.', 's')`],
  [`regexp_matches(long, '${'.*a'.repeat(8)}b.')`],
  [`long like '%${'_'.repeat(97)}b%'`],
  [`long ilike '%${'a'.repeat(97)}b%'`],
  [`long glob '*${'[ab]'.repeat(24)}c*'`],
];
for (const [condition, ...params] of quick)
  test(`quick: ${condition.slice(0, 100)} ${params.join()}`, async () => {
    const startedMs = performance.now();
    assert.equal(await ask(count(condition), params), condition.includes('not') ? 2_048 : 0);
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 3_000, `${Math.round(tookMs)} ms`);
  });

test('what a statement makes itself may be long, or its pattern', async () => {
  assert.equal(await ask("select count(*) from notes where repeat('a', 30000) like '%_b'"), 0);
  await assert.rejects(
    ask(`select count(*) from notes where repeat('a', 60000) like '%${'_'.repeat(100)}b'`),
    (error) => isFailure(error, 'memory_limit_exceeded'),
  );
});
