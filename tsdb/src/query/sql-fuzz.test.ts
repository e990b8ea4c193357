/**
 * Thousands of statements that somebody might try, made by spoiling good and bad ones token by token: each is answered, or
 * refused with a reason that is the client's; nothing else fails, and no file but the tables' is read.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';

const runs = Number(process.env['VARVE_FUZZ_RUNS'] ?? 5_000);
const seed = Number(process.env['VARVE_FUZZ_SEED'] ?? Date.now() % 1e9);
const secret = 'canary-7f3a';

let fixture: QueryFixture;
let secretPath = '';
before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put({
    table: 'environment',
    tags: ['device'],
    fields: { temperature: 'double' },
    files: [
      `select timestamptz '2026-01-01' + to_minutes(i) as time, 'dev' as device, i::double as temperature,
       date '2026-01-01' as day from range(5) r(i)`,
    ],
  });
  await fixture.startEngine();
  secretPath = join(fixture.folder, 'secret.csv');
  await writeFile(secretPath, `a\n${secret}\n`);
});
after(async () => {
  await fixture.close();
});

const seeds = () => [
  'select device, avg(temperature) from environment group by all order by all limit 3',
  'with e as (select * from environment where time > now() - interval 5 minutes) select count(*) from e join environment using (device, time)',
  "select time_bucket_gapfill('1 minute', time) as t, locf(avg(temperature)) from environment group by t",
  "from latest('environment') l asof join environment r on l.time >= r.time",
  'select list_transform([1, 2], lambda x: x + 1), {a: 1}.a, case when 1 = 2 then 3 end, cast(null as int[])',
  'select * exclude (day) replace (1 as temperature), row_number() over (partition by device order by time) from environment',
  'select a.* from environment a left join lateral (select max(time) m from environment b where b.device = a.device) on true',
  'select $1, ?, $name from environment where device = any($list) union all by name select 2 intersect select 3',
  'pivot environment on device using avg(temperature)',
  'describe environment',
  'summarize environment',
  `select * from '${secretPath}'`,
  `select * from read_csv('${secretPath}')`,
  `copy (select 1) to '${secretPath}'`,
  `copy environment from '${secretPath}'`,
  `attach '${secretPath}' as x`,
  "select * from query('select 1'), query_table('environment')",
  "install httpfs; load httpfs; set memory_limit = '1GB'; pragma database_list",
  'create table x as select 1; insert into environment values (1); drop view environment; begin; commit',
  "select getenv('HOME'), current_setting('temp_directory'), getvariable('main.environment')",
  "set variable x = 1; export database '/tmp'; checkpoint; call pragma_version(); explain analyze select 1",
  'prepare p as select 1; execute p; use slot1; detach slot0; vacuum; reset all; load x; values (1), (2)',
  'select * from slot1.main.environment, information_schema.tables, duckdb_settings(), pg_catalog.pg_class',
  "select 1 -- comment\n; /* open select '' \"quoted\"\" name\" $$dollar$$ e'\\n' x'00' U&'x' 1e999 0x7f 1_000 .5",
];
const extra = () => [
  ...`( ) , ; . * :: := => -> || ~ ! [ ] { } ? $1 $name ' " $$ -- /* */ 0 -1 9223372036854775808 null true`.split(
    ' ',
  ),
  ...`read_text glob read_blob read_parquet getvariable attach copy into outfile from with recursive as materialized
    lambda distinct on qualify sample unpivot interval at timestamp version tablesample positional`.split(
    /\s+/,
  ),
  `'${secretPath}'`,
  "'/etc/passwd'",
  "'s3://x/y'",
  'environment',
  'slot0.main.environment',
  '"main.environment"',
  'é',
  '\u0000',
  '🙂',
];

/** Park and Miller: the same statements for the same seed. */
function randomOf(start: number): (below: number) => number {
  let state = (start % 2_147_483_646) + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

const tokensOf = (sql: string) => sql.match(/\s+|[a-z_0-9]+|'[^']*'|./gisu) ?? [];

function* statements(): Generator<string> {
  const random = randomOf(seed);
  const corpus = seeds().map(tokensOf);
  const spare = extra();
  const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;
  for (let run = 0; run < runs; run++) {
    const tokens = [...pick(corpus)];
    // Half of them have one token changed, so that many get beyond the parser.
    const isGentle = random(2) === 0;
    for (let change = isGentle ? 0 : random(4); change >= 0; change--) {
      const at = random(tokens.length + 1);
      const other = pick(corpus);
      const start = random(other.length);
      const replaced = isGentle ? 1 : random(4);
      const copied = other.slice(start, start + (isGentle ? 1 : random(8)));
      const inserted = random(3) === 0 ? [' ', pick(spare), ' '] : copied;
      tokens.splice(at, replaced, ...inserted);
    }
    yield tokens.join('');
  }
}

async function answerOf(sql: string): Promise<string> {
  const answer = await fixture.engine.query(
    { sql, rowsMax: 20, timeoutMs: 2_000 },
    new AbortController().signal,
  );
  let text = '';
  for await (const piece of renderAnswer(answer)) text += String(piece);
  return text;
}

test(`${runs} spoiled statements (seed ${seed})`, async () => {
  const outcomes = new Map<string, number>();
  const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  for (const sql of statements())
    try {
      const text = await answerOf(sql);
      assert.ok(
        !text.includes(secret) && !text.includes('root:'),
        `a file was read by ${JSON.stringify(sql)}`,
      );
      count('answered');
    } catch (error) {
      if (!isFailure(error)) throw new Error(`failed by ${JSON.stringify(sql)}`, { cause: error });
      assert.ok(
        error.status < 500 || error.code === 'query_timeout',
        `${error.code} by ${JSON.stringify(sql)}`,
      );
      count(error.code);
    }
  assert.ok((outcomes.get('answered') ?? 0) > runs / 100, JSON.stringify([...outcomes]));
  assert.match(await answerOf('select count(*) from environment'), /\[\[5\]\]/);
});
