/**
 * 1,000 random schedules of arrival through to SQL: readings that are late, early or come again, on gateways that are killed
 * anywhere. Their partials, as the agent makes and encodes them, seen through the statement that tsdb's views are made of, are
 * what SQL makes of the readings themselves.
 */
import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import type { BatchColumns } from '@varve/edge-agent/batch/table-batch.js';
import type { AggregateConfig } from '@varve/edge-agent/aggregate/aggregate-config.js';
import { gatherRows, selectRows } from '@varve/edge-agent/aggregate/open-rows.js';
import {
  columnsOf,
  distinctReadings,
  live,
  minutes,
  schedule,
  tenSeconds,
} from '@varve/edge-agent/aggregate/schedules.test.fixture.js';
import { encodeShipment } from '@varve/edge-agent/encode/encode-shipment.js';
import { mergeSql } from '@varve/tsdb/query/merge-partials.js';
import { temporaryFolder } from './installation.js';

const schedules = 1_000;
const gathered = (batches: readonly BatchColumns[]) =>
  gatherRows(
    batches.map((columns) => selectRows(columns, -Infinity, Infinity)),
    new Map(),
  );

/** As a table's snapshot would have them. */
function tableColumns({ tags, fields }: BatchColumns) {
  return {
    tags: tags.map(({ name }) => ({ name })),
    fields: fields.map(({ name, type }) => ({ name, type })),
  };
}

function differences({ everyMs, quantiles }: AggregateConfig, windows: string): string {
  const median = 'list_sort(list(x))[1 + floor(0.5 * (count(x) - 1))::BIGINT]';
  const isMedianOff = quantiles
    ? 'abs(w.x_p50 - r.p50) > 0.01 * abs(r.p50) OR (w.x_p50 IS NULL) <> (r.p50 IS NULL)'
    : 'false';
  return `
    WITH r AS (
      SELECT device, time_bucket(INTERVAL '${everyMs} milliseconds', time) AS start, count(x) AS n, sum(x) AS s, min(x) AS low,
        max(x) AS high, arg_min(x, time) AS f, arg_max(x, time) AS l, min(time) FILTER (x IS NOT NULL) AS ft,
        max(time) FILTER (x IS NOT NULL) AS lt, count(state) AS states, arg_min(state, time) AS fs, ${median} AS p50
      FROM 'raw.parquet' GROUP BY ALL),
    w AS (${windows})
    SELECT count(*) AS windows, count(*) FILTER (WHERE
      n IS DISTINCT FROM x_count OR s IS DISTINCT FROM x_sum OR low IS DISTINCT FROM x_min OR high IS DISTINCT FROM x_max
      OR f IS DISTINCT FROM x_first OR l IS DISTINCT FROM x_last OR ft IS DISTINCT FROM x_first_time
      OR lt IS DISTINCT FROM x_last_time OR states IS DISTINCT FROM state_count OR fs IS DISTINCT FROM state_first
      OR s / nullif(n, 0) IS DISTINCT FROM x_mean OR ${isMedianOff}) AS different
    FROM r FULL JOIN w ON r.device = w.device AND r.start = w.time`;
}

test('what SQL says of the windows of 1,000 schedules is what it says of their readings', async (context) => {
  const folder = temporaryFolder(context);
  const partials = new Map<string, BatchColumns[]>();
  const readings = fc.sample(schedule, { numRuns: schedules, seed: 7 }).flatMap((drawn, index) => {
    const steps = drawn.map((step) => ({
      ...step,
      readings: step.readings.map((reading) => ({ ...reading, device: `${index}${reading.device}` })),
    }));
    for (const [table, batches] of live(steps, `${index}/`))
      partials.set(table, [...(partials.get(table) ?? []), ...batches]);
    return distinctReadings(steps);
  });
  writeFileSync(join(folder, 'raw.parquet'), encodeShipment(columnsOf(readings), new Map()));
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  context.after(() => {
    connection.closeSync();
    instance.closeSync();
  });
  await connection.run(`SET TimeZone = 'UTC'; SET file_search_path = '${folder}'`);
  for (const aggregate of [tenSeconds, minutes]) {
    const columns = gathered(partials.get(aggregate.table) ?? []);
    writeFileSync(join(folder, `${aggregate.table}.parquet`), encodeShipment(columns, new Map()));
    const facts = { everyMs: aggregate.everyMs, quantiles: aggregate.quantiles?.shown ?? [] };
    const rows = `SELECT *, time::DATE AS day FROM '${aggregate.table}.parquet'`;
    const windows = mergeSql(tableColumns(columns), facts, rows);
    const reader = await connection.runAndReadAll(differences(aggregate, windows));
    const [row] = reader.getRowObjectsJson();
    assert(Number(row?.['windows']) > schedules, JSON.stringify(row));
    assert.equal(row?.['different'], '0', JSON.stringify(row));
  }
});
