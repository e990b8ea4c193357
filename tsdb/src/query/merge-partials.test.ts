import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { FieldType } from '@varve/common/contract/columns.js';
import { DuckDb } from '../delta/duckdb.js';
import type { Snapshot } from '../delta/snapshot.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';
import { filesSql, sqlColumns, templateSql, viewSql } from './table-views.js';

/**
 * Raw rows are spread over partials at random, the partials over files; a query over them must see what the same aggregates
 * of the raw rows are, which DuckDB computes from a table of the raw rows.
 */
const nobody = new AbortController().signal;
const everyUs = 10_000_000;
const originUs = Date.parse('2026-03-01T23:59:40Z') * 1_000;
const fieldTypes = { b: 'boolean', n: 'long', s: 'string', x: 'double' } as const;
type FieldName = keyof typeof fieldTypes;
const fieldNames = Object.keys(fieldTypes) as FieldName[];
const isNumber = (field: FieldName) => field === 'n' || field === 'x';

let fixture: QueryFixture;
before(async () => {
  fixture = await QueryFixture.open();
  await fixture.startEngine();
});
after(() => fixture.close());

type Value = string | number | boolean | null;
type Values = Readonly<Record<string, Value>>;

interface RawRow extends Readonly<Record<FieldName, Value>> {
  readonly device: string | null;
  /** Since `originUs`: some windows before midnight, some after. */
  readonly offsetUs: number;
  readonly part: string;
}

/** Sums of halves and eighths of this size are exact in any order. */
const rawRow: fc.Arbitrary<RawRow> = fc.record({
  device: fc.constantFrom('dev1', 'dev2', null),
  offsetUs: fc.integer({ min: 0, max: 5 * everyUs - 1 }),
  part: fc.constantFrom(
    'hall-1/e1/000000000007',
    'hall-1/e1/000000000011',
    'hall-1/e2/000000000001',
    'hall-2/e1/1',
  ),
  b: fc.constantFrom(true, false, null),
  n: fc.option(fc.integer({ min: -1_000_000, max: 1_000_000 })),
  s: fc.option(fc.constantFrom('', "it's", 'on', 'off')),
  x: fc.option(fc.integer({ min: -80_000, max: 80_000 }).map((eighths) => eighths / 8 + 0)),
});
const scenario = fc.record({
  rows: fc.uniqueArray(rawRow, {
    maxLength: 40,
    // Which of two values at one instant is the first is not for the merge to say.
    selector: ({ device, offsetUs }) => `${device} ${offsetUs}`,
  }),
  fileCount: fc.integer({ min: 1, max: 4 }),
  order: fc.infiniteStream(fc.nat()),
});

interface PartialRow extends Values {
  readonly time: number;
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return [...groups.values()];
}

const windowOf = ({ offsetUs }: RawRow) => Math.floor(offsetUs / everyUs) * everyUs;

function toPartials(rows: readonly RawRow[]): PartialRow[] {
  return groupBy(rows, (row) => `${row.device} ${row.part} ${windowOf(row)}`).map((group) => {
    const [{ device, part } = { device: null, part: '' }] = group;
    const windowUs = Math.min(...group.map(windowOf));
    const fields = fieldNames.map((field) => partialOf(field, group));
    return Object.assign({ time: originUs + windowUs, device, part }, ...fields) as PartialRow;
  });
}

function partialOf(field: FieldName, rows: readonly RawRow[]): Values {
  const ordered = rows.filter((row) => row[field] !== null).toSorted((a, b) => a.offsetUs - b.offsetUs);
  const [first, last] = [ordered[0], ordered.at(-1)];
  if (!first || !last) return {};
  const values = ordered.map((row) => Number(row[field]));
  const numbers = {
    [`${field}_sum`]: values.reduce((sum, value) => sum + value),
    [`${field}_min`]: Math.min(...values),
    [`${field}_max`]: Math.max(...values),
  };
  return {
    [`${field}_count`]: ordered.length,
    ...(isNumber(field) ? numbers : {}),
    [`${field}_first`]: first[field],
    [`${field}_last`]: last[field],
    [`${field}_first_time`]: originUs + first.offsetUs,
    [`${field}_last_time`]: originUs + last.offsetUs,
  };
}

function columnTypes(field: string, type: FieldType): Record<string, FieldType> {
  const numbers = { [`${field}_sum`]: 'double', [`${field}_min`]: type, [`${field}_max`]: type } as const;
  return {
    [`${field}_count`]: 'long',
    ...(type === 'double' || type === 'long' ? numbers : {}),
    [`${field}_first`]: type,
    [`${field}_last`]: type,
    [`${field}_first_time`]: 'long',
    [`${field}_last_time`]: 'long',
  };
}
const partialTypes = Object.fromEntries(
  fieldNames.flatMap((field) => Object.entries(columnTypes(field, fieldTypes[field]))),
);

const sqlTypes = { boolean: 'BOOLEAN', long: 'BIGINT', string: 'VARCHAR', double: 'DOUBLE' } as const;
const literal = (value: Value | undefined) =>
  typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value ?? null);

/** A SELECT of rows with `time` in microseconds and the columns given, in the order of the rows. */
function selectOf(rows: readonly Values[], types: Readonly<Record<string, FieldType>>): string {
  const selects = [{}, ...rows].map((row: Values, index) => {
    const time = `make_timestamptz(${literal(row['time'])}::BIGINT)`;
    const values = Object.entries(types).map(
      ([name, type]) => `${literal(row[name])}::${sqlTypes[type]} AS "${name}"`,
    );
    const columns = [`${time} AS "time"`, ...values, `${time}::DATE AS "day"`];
    return `SELECT ${columns.join(', ')}${index === 0 ? ' WHERE false' : ''}`;
  });
  return selects.join(' UNION ALL ');
}

/** What agents may have sent in one go: columns that none of the partials has are not in the file. */
function fileOf(partials: readonly PartialRow[]): string {
  const has = (name: string) => partials.some((partial) => (partial[name] ?? null) !== null);
  const types = Object.fromEntries(Object.entries(partialTypes).filter(([name]) => has(name)));
  return selectOf(partials, { device: 'string', part: 'string', ...types });
}

async function ask(sql: string): Promise<{ names: string[]; types: string[]; rows: unknown[][] }> {
  let text = '';
  for await (const piece of renderAnswer(await fixture.engine.query({ sql }, nobody)))
    text += Buffer.from(piece).toString();
  const { columns, rows } = JSON.parse(text) as {
    columns: { name: string; type: string }[];
    rows: unknown[][];
  };
  return { names: columns.map(({ name }) => name), types: columns.map(({ type }) => type), rows };
}

const directly = fieldNames.flatMap((field) => [
  `count(${field}) AS ${field}_count`,
  ...(isNumber(field)
    ? [
        `avg(${field}) AS ${field}_mean`,
        `min(${field}) AS ${field}_min`,
        `max(${field}) AS ${field}_max`,
        `sum(${field})::DOUBLE AS ${field}_sum`,
      ]
    : []),
  `arg_min(${field}, raw.time) AS ${field}_first`,
  `arg_max(${field}, raw.time) AS ${field}_last`,
  `min(raw.time) FILTER (${field} IS NOT NULL) AS ${field}_first_time`,
  `max(raw.time) FILTER (${field} IS NOT NULL) AS ${field}_last_time`,
]);
const directSql = `
  SELECT * FROM (
    SELECT time_bucket(INTERVAL 10 seconds, raw.time) AS time, device, ${directly.join(', ')},
      time_bucket(INTERVAL 10 seconds, raw.time)::DATE AS day
    FROM raw GROUP BY ALL)`;

async function putWindows(files: readonly (readonly PartialRow[])[]): Promise<Snapshot> {
  return await fixture.put({
    table: 'windows',
    tags: ['device', 'part'],
    fields: partialTypes,
    aggregate: { everyMs: everyUs / 1_000 },
    files: files.map(fileOf),
  });
}

/** All rows, and those that conditions of several kinds let through. */
function sifted(relation: string): string {
  const conditions = ['true', "device = 'dev1'", "time >= '2026-03-02'", "day = '2026-03-01' AND x_mean > 0"];
  const selects = conditions.map(
    (condition, index) => `SELECT *, ${index} AS sieve FROM ${relation} WHERE ${condition}`,
  );
  return `${selects.join(' UNION ALL ')} ORDER BY sieve, time, device`;
}

test('however rows are spread over partials and files, a query sees their aggregates', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ rows, fileCount, order }) => {
      const shuffled = toPartials(rows)
        .map((partial) => ({ partial, place: order.next().value as number }))
        .sort((a, b) => a.place - b.place);
      const files = Array.from({ length: fileCount }, (_, file) =>
        shuffled.filter(({ place }) => place % fileCount === file).map(({ partial }) => partial),
      );
      await putWindows(files);
      const rawRows = rows.map((row): Values => ({ ...row, time: originUs + row.offsetUs }));
      await fixture.put({
        table: 'raw',
        tags: ['device'],
        fields: fieldTypes,
        files: [selectOf(rawRows, { device: 'string', ...fieldTypes })],
      });
      assert.deepEqual(await ask(sifted('windows')), await ask(sifted(`(${directSql})`)));
    }),
    { numRuns: 40 },
  );
});

/** Partials of window `originUs` of `dev1`, with field `x` alone. */
function partialsOfX(...values: readonly Values[]): PartialRow[] {
  return values.map((value, index) => ({ time: originUs, device: 'dev1', part: `p${index}`, ...value }));
}

describe('quantiles', () => {
  const sketchOf = (text: string | undefined, count: number, min: number, max: number) => ({
    ...{ x_count: count, x_min: min, x_max: max, x_sum: 0 },
    ...(text !== undefined && { x_sketch: text }),
  });
  const shown = async (...values: readonly Values[]) => {
    const types = { ...partialTypes, x_sketch: 'string' } as const;
    const file = selectOf(partialsOfX(...values), { device: 'string', part: 'string', ...types });
    const aggregate = { everyMs: 10_000, quantiles: [0.5, 0.9] };
    await fixture.put({
      table: 'windows',
      tags: ['device', 'part'],
      fields: types,
      aggregate,
      files: [file],
    });
    return await ask('SELECT x_p50, x_p90, length(x_sketch) FROM windows');
  };

  test('are found in the sketches of all partials together', async () => {
    const { rows } = await shown(
      sketchOf('-2.9844:1 10.1:4', 5, -3, 10.1),
      sketchOf('0:1 20.165:2 10.1:2', 5, 0, 20.2),
    );
    assert.deepEqual(rows, [[10.1, 20.165, 36]]);
  });
  test('are never beyond the smallest and greatest value', async () =>
    assert.deepEqual((await shown(sketchOf('20.165:3', 3, 20, 20))).rows, [[20, 20, 8]]));
  test('are null where a part of the window has no sketch, or there is no value', async () => {
    assert.deepEqual((await shown(sketchOf('5:1', 1, 5, 5), sketchOf(undefined, 1, 9, 9))).rows, [
      [null, null, 3],
    ]);
    assert.deepEqual((await shown({ s_count: 1, s_first: 'on' })).rows, [[null, null, null]]);
  });
});

describe('partials that say little', () => {
  test('a window in which a field has no value counts none of it', async () => {
    await putWindows([partialsOfX({ s_first: 'on', s_count: 1 }, { x_count: 0 })]);
    const { rows } = await ask('SELECT x_count, x_mean, x_sum, x_first, x_first_time, n_count FROM windows');
    assert.deepEqual(rows, [[0, null, null, null, null, 0]]);
  });

  test('a table without files has its columns, and no rows', async () => {
    await putWindows([]);
    const { names, types, rows } = await ask('FROM windows');
    assert.deepEqual(rows, []);
    assert.deepEqual(names.map((name, index) => `${name} ${types[index]}`).slice(-11), [
      's_last_time timestamp[us, UTC]',
      'x_count int64',
      'x_mean double',
      'x_min double',
      'x_max double',
      'x_sum double',
      'x_first double',
      'x_last double',
      'x_first_time timestamp[us, UTC]',
      'x_last_time timestamp[us, UTC]',
      'day date',
    ]);
  });
});

test('of values at one instant the same one is first, however the partials come', async () => {
  const at = (value: number) => ({
    x_first: value,
    x_last: value,
    x_first_time: originUs,
    x_last_time: originUs,
  });
  const partials = partialsOfX(at(1), at(2), at(3), at(4), at(5));
  const seen = new Set<string>();
  for (let turn = 0; turn < partials.length; turn++) {
    const turned = [...partials.slice(turn), ...partials.slice(0, turn)];
    await putWindows(turn % 2 === 0 ? [turned] : [turned.slice(0, 2), turned.slice(2)]);
    seen.add(JSON.stringify((await ask('SELECT x_first, x_last FROM windows')).rows));
  }
  assert.equal(seen.size, 1, [...seen].join(' '));
});

test('columns that another program has added are not shown, and disturb nothing', async () => {
  await fixture.put({
    table: 'windows',
    tags: ['device', 'part'],
    fields: { ...columnTypes('x', 'double'), note: 'string', remark_first: 'string', remark_last: 'string' },
    aggregate: { everyMs: 10_000 },
    files: [fileOf(partialsOfX({ x_count: 2, x_sum: 3 }, { x_count: 1, x_sum: 0 }))],
  });
  const { names, rows } = await ask('SELECT * FROM windows');
  assert.equal(names.filter((name) => name.startsWith('x_')).length, 9);
  assert.deepEqual([names.length, rows[0]?.[2], rows[0]?.[3]], [12, 3, 1]);
});

interface PlanNode {
  readonly name: string;
  readonly children: readonly PlanNode[];
  readonly extra_info: Readonly<Record<string, string | readonly string[]>>;
}

/** Of DuckDB, for a query of the view, from the top down. */
async function explain(sql: string): Promise<PlanNode[]> {
  const snapshot = await putWindows([
    partialsOfX({ x_count: 1, x_sum: 1 }),
    partialsOfX({ x_count: 1, x_sum: 2 }),
  ]);
  const duckDb = new DuckDb({
    tempDir: fixture.folder,
    memoryBytesMax: 2 ** 28,
    tempBytesMax: 0,
    threads: 1,
  });
  const template = join(fixture.folder, 'template.parquet');
  const paths = [...snapshot.files.values()].map(({ key }) => fixture.store.localPath(key));
  const plan = await duckDb.withSession(async (session) => {
    await session.run(templateSql(sqlColumns(snapshot.columns), template));
    await session.run(filesSql(snapshot, { paths: [template, ...paths], differ: true }));
    await session.run(viewSql(snapshot));
    const [row] = await session.rows(`EXPLAIN (FORMAT json) ${sql}`);
    return JSON.parse(String(row?.['explain_value'])) as PlanNode[];
  });
  await duckDb.close();
  const flatten = (node: PlanNode): PlanNode[] => [node, ...node.children.flatMap(flatten)];
  return plan.flatMap(flatten);
}

test('conditions on time and tags reach the files, and what is not asked for is not read', async () => {
  const nodes = await explain(
    `SELECT device, x_mean FROM windows
     WHERE time >= '2026-03-01' AND time < '2026-03-02' AND device = 'dev1' AND day <= '2026-03-01'`,
  );
  const scan = nodes.find(({ name }) => name.includes('READ_PARQUET'));
  const filters = String(scan?.extra_info['Filters']);
  for (const part of ['time>=', 'time<', "device='dev1'", 'day<='])
    assert.ok(filters.includes(part), filters);
  assert.deepEqual(
    nodes.filter(({ name }) => name === 'FILTER'),
    [],
    'nothing is left to sort out above the merge',
  );
  assert.deepEqual(scan?.extra_info['Projections'], ['time', 'device', 'x_count', 'x_sum', 'day']);
});
