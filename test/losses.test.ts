/**
 * Nothing acknowledged is lost in silence (DESIGN I3), with real processes: the store is away, the buffer is small, and at the
 * end every message is a row, or counted in table `varve_losses`.
 */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import { startMosquitto } from './brokers.js';
import { Installation, temporaryFolder } from './installation.js';
import { waitFor } from './processes.js';
import { skipWithoutMosquitto } from './requirements.js';

const stream = (topic: string, priority = 0) => ({
  ...{ topic, format: 'json', time: { path: 'ts', unit: 'ms' }, fields: { value: 'long' }, priority },
});
const streams = { readings: stream('plant/{device}/readings') };
const small = { max_size: '4MB', keep_free: '16MB' };
/** A busy disk takes half a second for an fsync, and a run makes some hundred of them. */
const patienceMs = 90_000;
const options = { skip: skipWithoutMosquitto(), timeout: 240_000 };
/** A small buffer wants small blocks: a block is what came during one fsync. */
const source = { topics: ['plant/#'], receive_maximum: 50 };
const firstMs = Date.UTC(2026, 0, 1);

/** Messages of 3 kB that no packing makes smaller; `value` counts from `from`. */
async function publish(client: MqttClient, topic: string, from: number, count: number): Promise<void> {
  for (let start = from; start < from + count; start += 100)
    await Promise.all(
      Array.from({ length: Math.min(100, from + count - start) }, (_, index) => {
        const value = start + index;
        const filling = randomBytes(2_250).toString('base64');
        return client.publishAsync(topic, JSON.stringify({ ts: firstMs + value, value, filling }), {
          qos: 1,
        });
      }),
    );
}

async function start(context: TestContext, edge: Record<string, unknown>, wanted: object = streams) {
  const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
  const installation = await Installation.create(context, {
    ...{ brokerUrl: broker.url, streams: wanted as Record<string, unknown> },
    edge: { sources: { plant: { ...source, mqtt: broker.url } }, ...edge },
  });
  installation.startTsdb();
  installation.startAgent();
  await Promise.all([installation.agentReady(), installation.tsdbReady()]);
  const client = await mqtt.connectAsync(broker.url);
  context.after(() => client.endAsync(true));
  // The first shipment shows that the store is there, and that both tables come to be.
  await publish(client, 'plant/a/readings', 0, 1);
  await waitFor(
    'the first row',
    async () => (await ask(installation, 'select count(*) from readings')) === 1,
    patienceMs,
  );
  return { installation, client };
}

/** One number; 0 where there is no such table. */
async function ask(installation: Installation, sql: string): Promise<number | undefined> {
  const answer = await installation.query(sql);
  if (answer?.status === 404) return 0;
  return answer?.body.rows ? Number(answer.body.rows[0]?.[0] ?? 0) : undefined;
}

const lostSql = "select sum(count) from varve_losses where kind in ('evicted', 'dead_letter', 'set_aside')";

async function requireAll(installation: Installation, total: number) {
  let found: unknown;
  return await waitFor(
    `${total} messages, as rows or losses`,
    async () => {
      const status = await installation.agentStatus();
      const rows = await ask(installation, 'select count(*) from readings');
      const lost = await ask(installation, lostSql);
      found = { rows, lost, status };
      if (rows === undefined || lost === undefined || status?.outbox.shipments !== 0) return undefined;
      assert(rows + lost <= total, `${rows} rows and ${lost} lost are more than ${total}`);
      return rows + lost === total && status.losses.waiting_rows === 0 ? { rows, lost } : undefined;
    },
    patienceMs,
    () => `${JSON.stringify(found)}\n${installation.agent?.output ?? ''}`,
  );
}

const inState = (installation: Installation, ...states: string[]) =>
  waitFor(
    `the buffer to be ${states.join(' or ')}`,
    async () => {
      const buffer = (await installation.agentStatus())?.buffer;
      return buffer && states.includes(buffer.state) ? buffer : undefined;
    },
    patienceMs,
    () => installation.agent?.output ?? '',
  );

/** The broker has them first: a slow agent would go on reading when the store is back, and lose nothing more. */
const allDurable = (installation: Installation, count: number) =>
  waitFor(
    `${count} messages in the log`,
    async () => ((await installation.agentMetric('varve_edge_messages_durable_total')) ?? 0) >= count,
    patienceMs,
    () => installation.agent?.output ?? '',
  );

test(
  'a full buffer that drops: rows and losses together are what was sent, over a kill',
  options,
  async (context) => {
    const { installation, client } = await start(context, { buffer: { ...small, on_full: 'drop_oldest' } });
    installation.setStoreAway(true);
    await publish(client, 'plant/a/readings', 1, 2_500);
    await allDurable(installation, 2_501);
    // The buffer is looked at twice a second: on a fast machine everything has come before the first look.
    await waitFor(
      'the first messages to be dropped',
      async () => /varve_edge_losses_total\{kind="evicted"\} [1-9]/.test(await installation.metrics()),
      patienceMs,
    );
    await inState(installation, 'collecting');
    assert.match(
      await installation.printedStatus(),
      /losses +evicted \d+ messages; last .* buffer\.max_size/,
    );
    await installation.agent?.kill();
    installation.setStoreAway(false);
    installation.startAgent();
    await installation.agentReady();
    installation.setStoreAway(true);
    await publish(client, 'plant/a/readings', 2_501, 1_500);
    await allDurable(installation, 1_500);
    const { bytes } = await waitFor(
      'the buffer to be within its bound',
      async () => {
        const buffer = (await installation.agentStatus())?.buffer;
        return buffer?.state === 'collecting' && buffer.bytes < 4e6 && buffer;
      },
      patienceMs,
    );
    assert(bytes < 4e6, 'the buffer is within its bound');
    installation.setStoreAway(false);
    const { rows, lost } = await requireAll(installation, 4_001);
    assert(lost > 500 && rows > 500, `${rows} rows, ${lost} lost`);
    const streamsLost = await ask(
      installation,
      "select count(*) from varve_losses where stream <> 'readings'",
    );
    assert.equal(streamsLost, 0);
  },
);

test(
  'a full buffer that stops reading: nothing is lost, and reading resumes by itself',
  options,
  async (context) => {
    const { installation, client } = await start(context, { buffer: { ...small, on_full: 'stop_reading' } });
    installation.setStoreAway(true);
    await publish(client, 'plant/a/readings', 1, 4_000);
    const { reason } = await inState(installation, 'stopped');
    assert.match(reason ?? '', /max_size/);
    await waitFor(
      'the source to leave',
      async () => {
        const source = (await installation.agentStatus())?.sources['plant'];
        return source?.connected === false && source.last_error?.startsWith('stopped: the buffer holds');
      },
      patienceMs,
    );
    assert.match(await installation.printedStatus(), /reading stopped: the buffer holds/);
    installation.setStoreAway(false);
    assert.deepEqual(await requireAll(installation, 4_001), { rows: 4_001, lost: 0 });
    await inState(installation, 'collecting');
  },
);

test('what matters least is dropped first', options, async (context) => {
  const wanted = { ...streams, alarms: stream('plant/{device}/alarms', 10) };
  const { installation, client } = await start(
    context,
    { buffer: { ...small, on_full: 'drop_oldest' } },
    wanted,
  );
  installation.setStoreAway(true);
  await publish(client, 'plant/a/readings', 1, 1_000);
  await publish(client, 'plant/a/alarms', 0, 400);
  await publish(client, 'plant/a/readings', 1_001, 1_500);
  await allDurable(installation, 2_901);
  await inState(installation, 'collecting');
  installation.setStoreAway(false);
  const { lost } = await requireAll(installation, 2_501);
  assert(lost > 500);
  // Another table: it may be committed later.
  await waitFor(
    'every alarm',
    async () => (await ask(installation, 'select count(*) from alarms')) === 400,
    patienceMs,
  );
});

const isRoot = process.getuid?.() === 0;
const onDisk = { ...options, skip: options.skip || (!isRoot && 'needs root: mounts a small file system') };

test('a full disk stops reading, corrupts nothing, and ends nothing', onDisk, async (context) => {
  const disk = mountSmallDisk(context);
  const edge = { data_dir: join(disk, 'edge'), buffer: { keep_free: '16MB' } };
  const { installation, client } = await start(context, edge);
  assert(existsSync(join(disk, 'edge', 'reserve')), 'room is held back');
  installation.setStoreAway(true);
  await publish(client, 'plant/a/readings', 1, 1_000);
  // Others take all there is, the room that is kept free too.
  fill(join(disk, 'others'));
  await publish(client, 'plant/a/readings', 1_001, 9_000);
  const { reason } = await inState(installation, 'stopped');
  assert.match(reason ?? '', /the disk/);
  installation.setStoreAway(false);
  await waitFor(
    'the full disk to be emptied by shipping',
    async () => (await installation.agentStatus())?.outbox.shipments === 0,
    patienceMs,
  );
  assert(existsSync(join(disk, 'others')) && installation.agent?.isRunning);
  const connectedCount = installation.agent.output.split('connected to the broker').length - 1;
  assert(connectedCount <= 5, `the broker is left alone, not asked again and again: ${connectedCount}`);
  rmSync(join(disk, 'others'));
  assert.deepEqual(await requireAll(installation, 10_001), { rows: 10_001, lost: 0 });
  assert.deepEqual(await installation.agent.stop(), { code: 0, signal: null });
});

function mountSmallDisk(context: TestContext): string {
  const disk = mkdtempSync(join(tmpdir(), 'varve-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
  // Before the processes that write there are killed: lazily.
  context.after(() => {
    execFileSync('umount', ['-l', disk]);
    rmdirSync(disk);
  });
  return disk;
}

function fill(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(64_000_000));
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'ENOSPC');
  }
}
