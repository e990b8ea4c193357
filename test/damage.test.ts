/**
 * A damaged edge database, with real processes: kill -9, a page overwritten, a start. The agent ships what is readable, the
 * ledger has the rest, status and the doctor say so, and nothing starts over and over.
 */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import mqtt from 'mqtt';
import { startMosquitto } from './brokers.js';
import { edgeProgram, Installation, temporaryFolder } from './installation.js';
import { startNode, waitFor } from './processes.js';
import { skipWithoutMosquitto } from './requirements.js';

const options = { skip: skipWithoutMosquitto(), timeout: 90_000 };
const streams = {
  readings: {
    topic: 'plant/{device}/readings',
    format: 'json',
    time: { path: 'ts', unit: 'ms' },
    fields: { value: 'long' },
  },
};
const firstMs = Date.UTC(2026, 0, 1);
const messages = 3_000;

async function start(context: TestContext): Promise<Installation> {
  const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
  const installation = await Installation.create(context, {
    ...{ brokerUrl: broker.url, streams },
    // All of it waits in the log, in many blocks.
    ship: { every: '1h', max_rows: 1_000_000 },
    edge: { sources: { plant: { mqtt: broker.url, topics: ['plant/#'], receive_maximum: 50 } } },
  });
  installation.startTsdb();
  installation.startAgent();
  await Promise.all([installation.agentReady(), installation.tsdbReady()]);
  const client = await mqtt.connectAsync(broker.url);
  context.after(() => client.endAsync(true));
  for (let from = 0; from < messages; from += 100)
    await Promise.all(
      Array.from({ length: 100 }, (_, index) => {
        const value = from + index;
        const payload = JSON.stringify({ ts: firstMs + value, value, filling: filling(value) });
        return client.publishAsync('plant/a/readings', payload, { qos: 1 });
      }),
    );
  await waitFor('all to be durable', async () => {
    return (await installation.agentMetric('varve_edge_messages_durable_total')) === messages;
  });
  return installation;
}

/** Not to be packed: pages are full of it. */
function filling(value: number): string {
  return Array.from({ length: 100 }, (_, index) =>
    (Math.imul(value + index, 0x9e3779b1) >>> 0).toString(36),
  ).join('');
}

/** The agent from now on ships at once. */
function shipAtOnce({ dir }: Installation): void {
  const path = join(dir, 'edge.yaml');
  writeFileSync(path, readFileSync(path, 'utf8').replace('every: 1h', 'every: 300ms'));
}

async function doctor({ dir }: Installation, context: TestContext, ...more: string[]) {
  const run = startNode(context, edgeProgram, ['doctor', '--config', 'edge.yaml', ...more], { cwd: dir });
  return { code: await run.exited, output: run.output };
}

const ask = async (installation: Installation, sql: string): Promise<number | undefined> => {
  const answer = await installation.query(sql);
  return answer?.body.rows ? Number(answer.body.rows[0]?.[0] ?? 0) : undefined;
};

async function requireAll(installation: Installation): Promise<{ rows: number; lost: number }> {
  return await waitFor(
    'every message to be a row or a loss',
    async () => {
      const rows = await ask(installation, 'select count(distinct value) from readings');
      const lost = await ask(installation, "select sum(count) from varve_losses where kind = 'set_aside'");
      if (rows === undefined || lost === undefined) return undefined;
      return rows + lost >= messages && lost > 0 ? { rows, lost } : undefined;
    },
    45_000,
    () => installation.agent?.output ?? '',
  );
}

test(
  'a page in the middle of the database: what is readable is shipped, the rest is in the ledger',
  options,
  async (context) => {
    const installation = await start(context);
    const path = join(installation.dir, 'edge-data', 'edge.sqlite');
    assert.match((await doctor(installation, context)).output, /an agent runs on this data_dir/);
    await installation.agent?.stop();
    assert.deepEqual((await doctor(installation, context)).code, { code: 0, signal: null });
    const bytes = readFileSync(path);
    const page = Math.floor(bytes.length / 4_096 / 2) * 4_096;
    writeFileSync(path, bytes.fill(0xa5, page, page + 4_096));
    const found = await doctor(installation, context);
    assert.match(found.output, /problem/);
    assert.match(found.output, /what to do: /);
    shipAtOnce(installation);
    installation.startAgent();
    await installation.agentReady();
    const { rows, lost } = await requireAll(installation);
    assert(rows > messages / 2, `${rows} rows, ${lost} lost`);
    assert.equal(rows + lost, messages, 'exactly');
    assert.match(await installation.printedStatus(), /losses +set_aside \d+ messages/);
    assert.equal(installation.agent?.output.match(/"collecting"/g)?.length, 1, 'it started once');
  },
);

test(
  'the first page, behind a kill: salvaged at the start, or by the doctor before',
  options,
  async (context) => {
    const installation = await start(context);
    const dataDir = join(installation.dir, 'edge-data');
    await installation.agent?.kill();
    const path = join(dataDir, 'edge.sqlite');
    writeFileSync(path, readFileSync(path).fill(0xa5, 0, 4_096));
    const repaired = await doctor(installation, context, '--repair');
    assert.match(repaired.output, /repair +ok +salvaged/);
    assert.deepEqual(repaired.code, { code: 0, signal: null });
    assert(readdirSync(join(dataDir, 'set-aside')).some((name) => name.endsWith('.sqlite')));
    const asked = JSON.parse((await doctor(installation, context, '--json')).output) as {
      findings: { check: string }[];
    };
    assert(asked.findings.some(({ check }) => check === 'set aside'));
    shipAtOnce(installation);
    installation.startAgent();
    await installation.agentReady();
    await waitFor(
      'every message to be a row',
      async () => (await ask(installation, 'select count(distinct value) from readings')) === messages,
      45_000,
      () => installation.agent?.output ?? '',
    );
  },
);
