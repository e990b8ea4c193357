/** DESIGN I12: the `data_dir` of tsdb holds only what can be rebuilt, so it may be deleted at any moment, also while tsdb runs. */
import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import mqtt from 'mqtt';
import { systemClock } from '@varve/common/clock.js';
import { startEmbeddedBroker } from './brokers.js';
import { Installation } from './installation.js';
import { waitFor } from './processes.js';
import { s3, skipWithoutS3 } from './requirements.js';

const streams = {
  temperature: { topic: 'plant/{device}/temperature', format: 'json', time: { path: 'ts', unit: 'ms' } },
};
const readings = 1_200;
const deletions = 6;
const startMs = Date.UTC(2026, 2, 1);

test('over a folder', { timeout: 120_000 }, (context) => deleteWhileItRuns(context));

test('over S3', { skip: skipWithoutS3(), timeout: 120_000 }, (context) => {
  const { endpoint, bucket } = s3() ?? { endpoint: '', bucket: '' };
  const url = `s3://${bucket}/data-dir-${randomUUID()}`;
  return deleteWhileItRuns(context, { url, endpoint, region: 'us-east-1', path_style: true });
});

async function deleteWhileItRuns(context: TestContext, store?: unknown): Promise<void> {
  const broker = await startEmbeddedBroker(context);
  const installation = await Installation.create(context, { brokerUrl: broker.url, streams, store });
  installation.startTsdb();
  installation.startAgent();
  await Promise.all([installation.agentReady(), installation.tsdbReady()]);
  const client = await mqtt.connectAsync(broker.url);
  context.after(() => client.endAsync(true));

  for (let index = 0; index < readings; index++) {
    const payload = JSON.stringify({ ts: startMs + index * 60_000, value: index });
    await client.publishAsync(`plant/press-${index % 3}/temperature`, payload, { qos: 1 });
    if (index % Math.floor(readings / deletions) !== 50) continue;
    // With data in it, while shipments come in.
    await waitUntilRight(installation, 'select count(*) > 0 from temperature', [true]);
    deleteFolder(join(installation.dir, 'tsdb-data'));
    await waitUntilRight(installation, 'select min(value), count(*) > 0 from temperature', [0, true]);
  }
  const sum = (readings * (readings - 1)) / 2;
  await waitUntilRight(installation, 'select count(*), sum(value), count(distinct device) from temperature', [
    readings,
    sum,
    3,
  ]);
  deleteFolder(join(installation.dir, 'tsdb-data'));
  // Nothing comes in any more, so that nothing but the question itself can mend it.
  await waitUntilRight(installation, 'select max(value) from temperature', [readings - 1]);
  const latest = await installation.get('/api/v1/tables/temperature/latest');
  assert.equal(latest?.status, 200, JSON.stringify(latest?.body));
  assert.equal((latest.body as { rows: unknown[] }).rows.length, 3);
  assert.deepEqual(await installation.tsdb?.stop(), { code: 0, signal: null });
}

/**
 * As somebody at a prompt does, who does not know what is written there at that moment, and who repeats the command when
 * it says that the folder is not empty. (`maxRetries` of Node 20 repeats only the removal of the emptied folder itself,
 * which cannot help once a file has been written into it.)
 */
function deleteFolder(path: string, attempts = 20): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' || attempts === 1) throw error;
    deleteFolder(path, attempts - 1);
  }
}

async function waitUntilRight(installation: Installation, sql: string, row: unknown[]): Promise<void> {
  let last: unknown;
  await waitFor(
    `the answer to ${sql}`,
    async () => {
      last = await installation.query(sql);
      return (
        JSON.stringify((last as { body?: { rows?: unknown[][] } } | undefined)?.body?.rows?.[0]) ===
        JSON.stringify(row)
      );
    },
    20_000,
    () => `expected ${JSON.stringify(row)}, last ${JSON.stringify(last)}\n${installation.tsdb?.output ?? ''}`,
  );
  await systemClock.sleep(1);
}
