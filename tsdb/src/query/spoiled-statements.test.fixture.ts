/**
 * Statements that somebody might try, made by spoiling good and bad ones token by token: the same ones for the same seed. Their
 * table is `environment`, with a tag `device` and a field `temperature`.
 */

const seeds = (secretPath: string) => [
  'select device, avg(temperature) from environment group by all order by all limit 3',
  'with e as (select * from environment where time > now() - interval 5 minutes) select count(*) from e join environment using (device, time)',
  "select time_bucket_gapfill('1 minute', time) as t, locf(avg(temperature)) from environment group by t",
  "from latest('environment') l asof join environment r on l.time >= r.time",
  'select list_transform([1, 2], lambda x: x + 1), {a: 1}.a, case when 1 = 2 then 3 end, cast(null as int[])',
  'select * exclude (day) replace (1 as temperature), row_number() over (partition by device order by time) from environment',
  'select a.* from environment a left join lateral (select max(time) m from environment b where b.device = a.device) on true',
  'select $1, ?, $name from environment where device = any($list) union all by name select 2 intersect select 3',
  "select repeat('-', 20), lpad(device, 10, '0'), len(range(60)), format('{:>10}', device), list_reduce([1, 2], lambda a, b: a + b) from environment",
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
const extra = (secretPath: string) => [
  ...`( ) , ; . * :: := => -> || ~ ! [ ] { } ? $1 $name ' " $$ -- /* */ 0 -1 9223372036854775808 null true 4000000000 repeat range`.split(
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

export interface SpoiledOptions {
  readonly runs: number;
  readonly seed: number;
  /** A file that statements try to read. */
  readonly secretPath: string;
}

export function* spoiledStatements({ runs, seed, secretPath }: SpoiledOptions): Generator<string> {
  const random = randomOf(seed);
  const corpus = seeds(secretPath).map(tokensOf);
  const spare = extra(secretPath);
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
