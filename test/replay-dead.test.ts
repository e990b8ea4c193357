/**
 * `varve-edge tail --replay-dead` with real processes: two streams on one topic, of which one cannot read the messages until
 * its configuration is mended. Killed in the middle, every message is in both tables once, and counts once in the windows,
 * which were open all the while.
 */
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import mqtt from 'mqtt';
import { parse, stringify } from 'yaml';
import { systemClock } from '@varve/common/clock.js';
import { startEmbeddedBroker } from './brokers.js';
import { edgeProgram, Installation } from './installation.js';
import { freePort, startNode, waitFor } from './processes.js';

const count = 450;
/** Its windows have ended, and are within their lateness. */
const startMs = systemClock.nowMs() - 7_200_000;
const topic = 'plant/{device}/readings';
const time = { path: 'ts', unit: 'ms' };
/** Windows stay open for as long as the configuration is wrong. */
const aggregate = [{ every: '1h', lateness: '23h' }];
const whole = { topic, format: 'json', time, fields: { value: 'double' }, aggregate };
const wrong = { topic, format: { type: 'json', rows: 'dta' }, time, aggregate };

interface Report {
  readonly letters: number;
  readonly replayed: number;
  readonly read_by: Record<string, { messages: number; rows: number }>;
  readonly still_refused: { stream: string | null; code: string; messages: number }[];
}

async function start(context: TestContext) {
  const broker = await startEmbeddedBroker(context);
  const port = await freePort();
  const edge = { status: { listen: `127.0.0.1:${port}` } };
  const streams = { whole, listed: wrong };
  const installation = await Installation.create(context, { brokerUrl: broker.url, streams, edge });
  const status = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/status`).catch(() => undefined);
    return (await answer?.json().catch(() => undefined)) as Status | undefined;
  };
  const startAgent = async () => {
    installation.startAgent();
    const isConnected = async () => (await status())?.sources['plant']?.connected;
    await waitFor('the agent to connect', isConnected, 30_000, () => installation.agent?.output ?? '');
  };
  const replay = (...args: string[]) => {
    const all = ['tail', '--replay-dead', '--json', '--config', 'edge.yaml', ...args];
    return startNode(context, edgeProgram, all, { cwd: installation.dir });
  };
  const report = async (...args: string[]): Promise<Report> => {
    const asked = replay(...args);
    assert.equal((await asked.exited).code, 0, asked.output);
    return JSON.parse(asked.stdout) as Report;
  };
  await startAgent();
  const client = await mqtt.connectAsync(broker.url);
  context.after(() => client.endAsync(true));
  return { installation, client, port, status, startAgent, replay, report };
}

interface Status {
  readonly sources: Record<string, { connected: boolean }>;
  readonly losses: { total: Record<string, { messages: number }> };
}

function mend(dir: string): void {
  const path = join(dir, 'edge.yaml');
  const config = parse(readFileSync(path, 'utf8')) as { streams: unknown };
  const closing = [{ every: '1h', lateness: '0s' }];
  const listed = { ...wrong, format: { type: 'json', rows: 'data' }, aggregate: closing };
  config.streams = { whole: { ...whole, aggregate: closing }, listed };
  writeFileSync(path, stringify(config));
}

test(
  'every dead letter becomes rows once, whatever is killed when',
  { timeout: 240_000 },
  async (context) => {
    const { installation, client, status, startAgent, replay, report } = await start(context);
    installation.startTsdb();
    const payloads = Array.from({ length: count }, (_, index) => {
      const ts = startMs + index * 1_000;
      return JSON.stringify({ ts, value: 1, data: [{ ts, v: index }] });
    });
    await Promise.all(
      payloads.map((payload) => client.publishAsync('plant/a/readings', payload, { qos: 1 })),
    );
    const total = async (kind: string) => (await status())?.losses.total[kind]?.messages ?? 0;
    await waitFor('all to be dead letters', async () => (await total('dead_letter')) === count, 60_000);
    await client.publishAsync('plant/a/other', '{}', { qos: 1 });
    await waitFor('one that no stream wants', async () => (await total('dead_letter')) === count + 1, 60_000);

    const unmended = await report();
    assert.deepEqual([unmended.letters, unmended.replayed], [count + 1, 0]);
    assert.deepEqual(
      unmended.still_refused.map(({ stream, code, messages }) => [stream, code, messages]),
      [
        ['listed', 'no_rows', count],
        [null, 'no_stream', 1],
      ],
    );

    await installation.agent?.kill();
    mend(installation.dir);
    await startAgent();
    const trial = await report('--dry-run');
    assert.deepEqual(
      [trial.letters, trial.replayed, trial.read_by],
      [...[count + 1, count, { listed: { messages: count, rows: count } }]],
    );
    const cut = replay();
    await waitFor(
      'some to be replayed',
      async () => (await total('replayed')) > 0,
      60_000,
      () => cut.output,
    );
    await installation.agent?.kill();
    await startAgent();
    await report('listed');
    const rest = await report();
    assert.deepEqual([rest.letters, rest.replayed], [1, 0]);

    const sql = `
    select (select count(*) from whole), (select count(v) from listed), (select sum(value_count) from whole_1h),
      (select sum(v_count) from listed_1h), (select sum(v_sum) from listed_1h),
      (select sum(case kind when 'replayed' then -count else count end) from varve_losses)`;
    const expected = [count, count, count, count, (count * (count - 1)) / 2, 1];
    let last: unknown;
    await waitFor(
      'every message in both tables, and in their windows',
      async () => {
        last = (await installation.query(sql))?.body;
        const numbers = ((last as { rows?: unknown[][] } | undefined)?.rows?.[0] ?? []).map(Number);
        return JSON.stringify(numbers) === JSON.stringify(expected);
      },
      90_000,
      () => JSON.stringify(last),
    );
  },
);

test('only a program on the gateway may replay', async (context) => {
  const { port } = await start(context);
  const ask = async (headers: Record<string, string>) => {
    const options = { port, host: '127.0.0.1', path: '/dead-letters/replay', method: 'POST', headers };
    const asked = request(options);
    asked.end('{}');
    const [answer] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }];
    answer.resume();
    return answer.statusCode;
  };
  const json = { 'content-type': 'application/json' };
  assert.equal(await ask({ ...json, host: 'evil.example' }), 403);
  assert.equal(await ask({ ...json, origin: 'https://evil.example' }), 403);
  assert.equal(await ask({ ...json, 'sec-fetch-site': 'cross-site' }), 403);
  assert.equal(await ask({ 'content-type': 'text/plain' }), 400);
  assert.equal(await ask(json), 200);
});
