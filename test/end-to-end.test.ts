/**
 * From a sensor to an SQL answer, with real processes: a broker, an agent, a tsdb, killed on the way; and the same table
 * through the eyes of a reader that is not ours.
 */
import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import mqtt, { type MqttClient } from 'mqtt';
import { systemClock } from '@varve/common/clock.js';
import { startEmbeddedBroker, startMosquitto } from './brokers.js';
import { Installation, temporaryFolder } from './installation.js';
import { startNode, waitFor } from './processes.js';
import {
  expectedOf,
  madeUpReadings,
  nabExpected,
  nabReadings,
  skipWithoutNab,
  type Expected,
  type Reading,
} from './readings.js';
import { s3, skipWithoutMosquitto, skipWithoutS3 } from './requirements.js';

const streams = {
  temperature: {
    topic: 'plant/{site}/{device}/temperature',
    format: 'json',
    time: { path: 'ts', unit: 'ms' },
  },
  // Without a time of its own: that of its arrival.
  pulse: { topic: 'plant/{site}/{device}/pulse', format: 'json' },
};
/** In order: the machine repeats times with other values, of which the last must win however long a kill takes on a slow computer. */
const ship = { every: '300ms', live_first: false };
const topic = 'plant/nab/machine/temperature';
const question = 'select count(*), avg(value), max(value) from temperature';
const limitMs = 240_000;

/** At QoS 1, one after the other. `before` is called ahead of each reading. */
async function replay(
  client: MqttClient,
  readings: readonly Reading[],
  before?: (index: number) => Promise<void>,
) {
  for (const [index, { tsMs, value }] of readings.entries()) {
    await before?.(index);
    await client.publishAsync(topic, JSON.stringify({ ts: tsMs, value }), { qos: 1 });
  }
}

function isAnswer(rows: unknown[][] | undefined, { count, mean, max }: Expected): boolean {
  const [found, foundMean, foundMax] = (rows?.[0] ?? []) as number[];
  return found === count && Math.abs((foundMean ?? 0) - mean) < 1e-9 && foundMax === max;
}

/** Waits until everything is through, then requires the answer. */
async function requireAnswer(installation: Installation, expected: Expected): Promise<void> {
  await waitFor(
    'the agent to have shipped everything',
    async () => {
      const status = await installation.agentStatus();
      return status?.log.waiting_messages === 0 && status.outbox.shipments === 0;
    },
    60_000,
    () => installation.agent?.output ?? '',
  );
  let last: unknown;
  await waitFor(
    'the answer',
    async () => {
      last = (await installation.query(question))?.body;
      return isAnswer((last as { rows?: unknown[][] } | undefined)?.rows, expected);
    },
    60_000,
    () =>
      `expected ${JSON.stringify(expected)}, last ${JSON.stringify(last)}\n${installation.tsdb?.output ?? ''}`,
  );
}

async function startBoth(context: TestContext, brokerUrl: string, store?: unknown): Promise<Installation> {
  const installation = await Installation.create(context, { brokerUrl, streams, store, ship });
  installation.startTsdb();
  installation.startAgent();
  await Promise.all([installation.agentReady(), installation.tsdbReady()]);
  return installation;
}

async function connect(context: TestContext, url: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(url);
  context.after(() => client.endAsync(true));
  return client;
}

/** What ClickHouse, through the Delta kernel, answers to the same question. */
async function askClickHouse(context: TestContext, { lake }: Installation): Promise<Expected> {
  const table = join(lake, 'tables', 'main', 'temperature');
  const sql = `SELECT count(), avg(value), max(value) FROM deltaLakeLocal('${table}')`;
  const script = fileURLToPath(new URL('./ask-clickhouse.js', import.meta.url));
  const reader = startNode(context, script, [sql], { cwd: lake });
  assert.deepEqual(await reader.exited, { code: 0, signal: null }, reader.output);
  const [row] = (JSON.parse(reader.stdout) as { data: [string | number, number, number][] }).data;
  assert(row);
  return { count: Number(row[0]), mean: row[1], max: row[2] };
}

function requireClose(found: Expected, expected: Expected): void {
  assert.equal(found.count, expected.count);
  assert.ok(Math.abs(found.mean - expected.mean) < 1e-9, `mean ${found.mean}, expected ${expected.mean}`);
  assert.equal(found.max, expected.max);
}

test(
  'readings come out as SQL, here and in ClickHouse, with nothing but Node and npm',
  { timeout: limitMs },
  async (context) => {
    const broker = await startEmbeddedBroker(context);
    const installation = await startBoth(context, broker.url);
    const client = await connect(context, broker.url);
    const readings = madeUpReadings(3_000);
    await replay(client, readings);
    await requireAnswer(installation, expectedOf(readings));
    requireClose(await askClickHouse(context, installation), expectedOf(readings));
    assert.deepEqual(await installation.agent?.stop(), { code: 0, signal: null });
    assert.deepEqual(await installation.tsdb?.stop(), { code: 0, signal: null });
  },
);

test(
  'readings of one sensor that arrive in the same millisecond are a row each, in their order',
  { timeout: limitMs },
  async (context) => {
    const broker = await startEmbeddedBroker(context);
    const installation = await startBoth(context, broker.url);
    const client = await connect(context, broker.url);
    const values = Array.from({ length: 3_000 }, (_, value) => value);
    await Promise.all(
      values.map((value) => client.publishAsync('plant/nab/machine/pulse', `{"value":${value}}`, { qos: 1 })),
    );
    const ask = async () =>
      (await installation.query('select value from pulse order by time'))?.body.rows?.map(([value]) => value);
    let found: unknown[] | undefined;
    await waitFor('every row', async () => (found = await ask())?.length === values.length, 30_000);
    assert.deepEqual(found, values);
    const answer = await installation.query('select count(distinct epoch_ms(time)) from pulse');
    assert(Number(answer?.body.rows?.[0]?.[0]) < values.length, 'some did arrive in the same millisecond');
  },
);

test(
  'agent and tsdb killed five times each on the way: the same answer',
  { timeout: limitMs },
  async (context) => {
    const broker = await startEmbeddedBroker(context);
    const readings = madeUpReadings(3_000, { repeatsAreAlike: true });
    await replayWithKills(context, broker.url, readings, expectedOf(readings));
  },
);

const nab = { skip: skipWithoutMosquitto() || skipWithoutNab(), timeout: limitMs };

test('the readings of a real machine through Mosquitto', nab, async (context) => {
  const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
  const installation = await startBoth(context, broker.url);
  await replay(await connect(context, broker.url), nabReadings() ?? []);
  await requireAnswer(installation, nabExpected);
  requireClose(await askClickHouse(context, installation), nabExpected);
});

test('the readings of a real machine, with agent and tsdb killed five times each', nab, async (context) => {
  const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
  const installation = await replayWithKills(context, broker.url, nabReadings() ?? [], nabExpected);
  requireClose(await askClickHouse(context, installation), nabExpected);
});

test(
  'the same over S3',
  { skip: skipWithoutMosquitto() || skipWithoutS3(), timeout: limitMs },
  async (context) => {
    const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
    const { endpoint, bucket } = s3() ?? { endpoint: '', bucket: '' };
    const prefix = `end-to-end-${randomUUID()}`;
    const store = { url: `s3://${bucket}/${prefix}`, endpoint, region: 'us-east-1', path_style: true };
    await replayWithKills(
      context,
      broker.url,
      madeUpReadings(3_000),
      expectedOf(madeUpReadings(3_000)),
      store,
    );
  },
);

async function replayWithKills(
  context: TestContext,
  brokerUrl: string,
  readings: readonly Reading[],
  expected: Expected,
  store?: unknown,
): Promise<Installation> {
  const installation = await startBoth(context, brokerUrl, store);
  const killEvery = Math.floor(readings.length / 6);
  await replay(await connect(context, brokerUrl), readings, async (index) => {
    // Half way between the agent's kills tsdb is killed; the readings go on while they start again.
    const killsAgent = index > 0 && index % killEvery === 0 && index / killEvery <= 5;
    const killsTsdb = (index - Math.floor(killEvery / 2)) % killEvery === 0 && index / killEvery < 5;
    // At once, and later each time: before it has shipped, while it ships, after it has.
    const pauseMs = (index / killEvery) * 150;
    if (killsAgent) {
      await installation.agentReady();
      await systemClock.sleep(pauseMs);
      await installation.agent?.kill();
      installation.startAgent();
    }
    if (killsTsdb) {
      await installation.tsdbReady();
      await systemClock.sleep(pauseMs);
      await installation.tsdb?.kill();
      installation.startTsdb();
    }
  });
  await requireAnswer(installation, expected);
  return installation;
}

test(
  'what cannot be understood is kept as a dead letter and stops nothing',
  { timeout: limitMs },
  async (context) => {
    const broker = await startEmbeddedBroker(context);
    const installation = await startBoth(context, broker.url);
    const client = await connect(context, broker.url);
    await client.publishAsync(topic, '{"ts":1', { qos: 1 });
    await client.publishAsync(topic, '{"ts":1386018900000,"value":null}', { qos: 1 });
    await client.publishAsync('plant/elsewhere', '{"value":1}', { qos: 1 });
    await client.publishAsync(topic, '{"ts":1386018900000,"value":7}', { qos: 1 });
    await requireAnswer(installation, { count: 1, mean: 7, max: 7 });
    const letters = await installation.deadLetters();
    assert.deepEqual(
      letters.map(({ topic: where, code, payload }) => [where, code, payload]),
      [
        ['plant/elsewhere', 'no_stream', '{"value":1}'],
        [topic, 'no_field', '{"ts":1386018900000,"value":null}'],
        [topic, 'not_json', '{"ts":1'],
      ],
    );
  },
);

test(
  'a mistake in SQL is a 400 with its position, an unknown table a 404 that names those there are',
  { timeout: limitMs },
  async (context) => {
    const broker = await startEmbeddedBroker(context);
    const installation = await startBoth(context, broker.url);
    await replay(await connect(context, broker.url), madeUpReadings(3));
    await requireAnswer(installation, expectedOf(madeUpReadings(3)));
    const mistake = await installation.query('select * form temperature');
    assert.equal(mistake?.status, 400);
    assert.equal(mistake.body.code, 'sql_syntax');
    assert.equal((mistake.body as { position?: number }).position, 15);
    const unknown = await installation.query('select * from humidity');
    assert.equal(unknown?.status, 404);
    assert.match(unknown.body.title ?? '', /temperature/);
    const tables = await installation.get('/api/v1/tables');
    assert.match(JSON.stringify(tables?.body), /"temperature"/);
  },
);
