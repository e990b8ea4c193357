/**
 * Logs that others wrote – the Delta project's and delta-rs's own test tables (`golden/golden-lake.ts`) – read by our log reader:
 * the same files and rows as they say, at every version, or a refusal that names the feature.
 *
 * Whatever can be read as a log is then refused as a table of ours for its shape: ours have a `time` and are partitioned by `day`.
 */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { GoldenLake, skipWithoutGolden, type Content, type GoldenTable } from './golden/golden-lake.js';
import { filesByDeltaRs, skipWithoutDeltaRs } from './readers/engines.js';

const readable: Readonly<Record<string, Content>> = {
  'COVID-19_NYT': [0, 8, 1_111_930],
  cdc_ict_table: [3, 2, 2],
  'cdf-table': [3, 9, 9],
  'cdf-table-non-partitioned': [4, 11, 11],
  'checkpoint-cdf-table': [5, 13, 13],
  checkpoint_with_partitions: [2, 2],
  checkpoints: [12, 12],
  checkpoints_vacuumed: [12, 12],
  concurrent_workers: [0, 0, 0],
  'data-reader-array-primitives': [0, 2, 10],
  'delta-0.2.0': [3, 3, 6],
  'delta-0.8-empty': [1, 0, 0],
  'delta-0.8.0': [1, 2, 4],
  'delta-0.8.0-date': [0, 1, 5],
  'delta-0.8.0-null-partition': [0, 2, 2],
  'delta-0.8.0-numeric-partition': [0, 2, 2],
  'delta-0.8.0-partitioned': [0, 6, 7],
  'delta-0.8.0-special-partition': [0, 2, 2],
  'delta-1.2.1-only-struct-stats': [12, 12, 12],
  'delta-2.2.0-partitioned-types': [0, 3, 3],
  'delta-checkpoint-stats-optional': [2, 2, 2],
  'delta-stats-optional': [2, 2, 2],
  http_requests: [1, 2, 1_581],
  'issue-2152': [0, 0, 0],
  issue_1374: [1, 2, 20],
  latest_not_checkpointed: [3, 1],
  'partition-type-primitives': [0, 16, 16],
  'python-0.25.5-checkpoint': [1, 2, 6],
  simple_commit: [0, 0, 0],
  simple_table: [4, 5, 3],
  simple_table_with_cdc: [2, 1, 1],
  simple_table_with_checkpoint: [10, 11, 11],
  table_a: [13, 130],
  table_b: [13, 130],
  table_failed_last_checkpoint_update: [3, 4, 20],
  table_g: [9_999, 100],
  table_with_edge_timestamps: [0, 2, 2],
  table_with_null_stats_in_notnull_struct: [1, 2, 2],
  'table-without-dv-small': [0, 1, 10],
  with_checkpoint_no_last_checkpoint: [3, 1],
};

/** What the refusal says. */
const refused: Readonly<Record<string, RegExp>> = {
  'cdf-table-with-cdc-and-dvs': /deletionVectors/,
  'checkpoint-v2-table': /v2Checkpoint/,
  // Its metaData has no schema, which PROTOCOL.md requires.
  'delta-live-table': /schemaString/,
  simple_table_features:
    /reader version 5 \(columnMapping, blahabl, deletionVectors, timestampNtz, v2Checkpoint\)/,
  'spark-shredded-variant-preview-delta': /variantShredding-preview, variantType/,
  'spark-variant-checkpoint': /variantType-preview/,
  'spark-variant-stable-feature-checkpoint': /variantType/,
  table_c: /version 12 .* is missing/,
  table_d: /catalogOwned/,
  table_e: /catalogOwned/,
  table_f: /catalogOwned/,
  table_h: /catalogOwned/,
  table_i: /catalogOwned/,
  table_with_column_mapping: /columnMapping/,
  table_with_deletion_logs: /deletionVectors/,
  table_with_liquid_clustering: /deletionVectors/,
  table_with_partitioning_mapping: /deletionVectors/,
  'table-with-domain-metadata': /deletionVectors/,
  'table-with-dv-small': /deletionVectors/,
  'v2-classic-checkpoint-json': /v2Checkpoint/,
};

const skip = skipWithoutGolden();
let lake: GoldenLake;
before(async () => {
  if (skip === false) lake = await GoldenLake.open();
});
after(async () => {
  if (skip === false) await lake.close();
});

test('each of them is known here', { skip }, () => {
  const known = [...Object.keys(readable), ...Object.keys(refused)].sort();
  assert.deepEqual(lake.tables.map(({ title }) => title).sort(), known);
});

test('a log that can be read has the files and rows that its writers say', { skip }, async () => {
  const found: Record<string, Content> = {};
  for (const table of lake.tables)
    if (table.title in readable) found[table.title] = await lake.content(table);
  assert.deepEqual(found, readable);
});

test(
  'at every version it has the files that delta-rs finds',
  { skip: skip || skipWithoutDeltaRs() },
  async () => {
    const jobs: { table: GoldenTable; path: string; version: number }[] = [];
    for (const table of lake.tables)
      if (table.title in readable)
        for (const version of await lake.versions(table)) jobs.push({ table, path: table.path, version });
    assert(jobs.length > 80, `only ${jobs.length} versions`);
    const answers = await filesByDeltaRs(jobs);
    for (const [index, { table, version }] of jobs.entries()) {
      const { files, error } = answers[index] ?? {};
      const place = `${table.title}, version ${version}`;
      // A version of table_b is missing, which is before a checkpoint.
      if (error !== undefined) {
        assert.match(error, /Expected contiguous commit files/, place);
        await assert.rejects(lake.read(table, version), /is missing from its log/, place);
      } else assert.deepEqual((await lake.read(table, version)).paths, files, place);
    }
  },
);

test(
  'what cannot be read is refused with the reason, by log reader and catalog alike',
  { skip },
  async () => {
    for (const table of lake.tables) {
      const pattern = refused[table.title];
      if (!pattern) continue;
      const isRefusal = (error: unknown) =>
        isFailure(error, 'table_unreadable') && pattern.test(error.message);
      await assert.rejects(lake.read(table), isRefusal, table.title);
      await assert.rejects(lake.catalog.refreshTable(table.name), isRefusal, table.title);
    }
  },
);

test('what is no table of ours is a problem that says so, and no table', { skip }, async () => {
  await lake.catalog.refresh();
  assert.deepEqual(lake.catalog.current(), []);
  const problems = new Map(lake.catalog.problems().map(({ name, failure }) => [name.table, failure.message]));
  assert.equal(problems.size, lake.tables.length);
  for (const { title, name } of lake.tables)
    if (title in readable)
      assert.match(problems.get(name.table) ?? '', /is partitioned by \(.*\), not by day/);
});
