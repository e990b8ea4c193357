/**
 * Windows of aggregates with real processes: what SQL says of the table of windows is what it says of the rows themselves, for
 * every window, with the agent killed on the way.
 *
 * Of readings that repeat a timestamp only the last is sent: the second of two comes when the window of the first may have
 * been written, and counts in it once more.
 */
import { strict as assert } from 'node:assert';
import { test, type TestContext } from 'node:test';
import mqtt from 'mqtt';
import { startEmbeddedBroker, startMosquitto } from './brokers.js';
import { Installation, temporaryFolder } from './installation.js';
import { waitFor } from './processes.js';
import { madeUpReadings, nabReadings, skipWithoutNab, type Reading } from './readings.js';
import { skipWithoutMosquitto } from './requirements.js';

const limitMs = 240_000;
const topic = 'plant/nab/machine/temperature';
const widths = { temperature_10s: 10, temperature_1h: 3_600 } as const;
const stream = {
  topic: 'plant/{site}/{device}/temperature',
  format: 'json',
  time: { path: 'ts', unit: 'ms' },
  aggregate: [{ every: '10s' }, { every: '1h', lateness: '0s' }],
};

function lastOfEach(readings: readonly Reading[]): Reading[] {
  return [...new Map(readings.map((reading) => [reading.tsMs, reading])).values()];
}

/** Windows that differ, of all there are on either side. */
function differences(table: string, seconds: number): string {
  return `
    with rows as (
      select site, device, time_bucket(interval '${seconds} seconds', time) as t, count(value) as n, sum(value) as s,
        min(value) as low, max(value) as high, arg_min(value, time) as f, arg_max(value, time) as l,
        min(time) as ft, max(time) as lt
      from temperature group by all)
    select count(*), count(*) filter (where
        n is distinct from value_count or low is distinct from value_min or high is distinct from value_max
        or f is distinct from value_first or l is distinct from value_last
        or ft is distinct from value_first_time or lt is distinct from value_last_time
        or abs(s - value_sum) > 1e-9 * abs(s) or abs(s / n - value_mean) > 1e-9 * abs(s / n)
        or value_count is null or n is null),
      coalesce(sum(n), 0)
    from rows full join ${table} on rows.t = ${table}.time and rows.site = ${table}.site and rows.device = ${table}.device`;
}

async function requireSameWindows(installation: Installation, count: number): Promise<void> {
  for (const [table, seconds] of Object.entries(widths)) {
    let last: unknown;
    await waitFor(
      `${table} to say what the rows say`,
      async () => {
        const answer = await installation.query(differences(table, seconds));
        last = answer?.body;
        const [windows, different, rows] = (answer?.body.rows?.[0] ?? []).map(Number);
        return rows === count && different === 0 && (windows ?? 0) > 0;
      },
      60_000,
      () => `last ${JSON.stringify(last)}\n${installation.agent?.output ?? ''}`,
    );
  }
}

async function replay(
  context: TestContext,
  brokerUrl: string,
  { readings, kills, raw }: { readings: readonly Reading[]; kills: number; raw: 'ship' | 'drop' },
): Promise<Installation> {
  const streams = { temperature: { ...stream, raw } };
  const installation = await Installation.create(context, { brokerUrl, streams });
  installation.startTsdb();
  installation.startAgent();
  await Promise.all([installation.agentReady(), installation.tsdbReady()]);
  const client = await mqtt.connectAsync(brokerUrl);
  context.after(() => client.endAsync(true));
  const killEvery = Math.ceil(readings.length / (kills + 1));
  for (const [index, { tsMs, value }] of readings.entries()) {
    if (index > 0 && index % killEvery === 0) {
      await installation.agentReady();
      await installation.agent?.kill();
      installation.startAgent();
    }
    await client.publishAsync(topic, JSON.stringify({ ts: tsMs, value }), { qos: 1 });
  }
  return installation;
}

test('raw rows and windows at once, with nothing but Node and npm', { timeout: limitMs }, async (context) => {
  const broker = await startEmbeddedBroker(context);
  const readings = lastOfEach(madeUpReadings(3_000));
  const installation = await replay(context, broker.url, { readings, kills: 0, raw: 'ship' });
  await requireSameWindows(installation, readings.length);
});

test(
  'raw rows and windows of a real machine, with the agent killed five times: every window is what its rows are',
  { skip: skipWithoutMosquitto() || skipWithoutNab(), timeout: limitMs },
  async (context) => {
    const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
    const readings = lastOfEach(nabReadings() ?? []);
    const installation = await replay(context, broker.url, { readings, kills: 5, raw: 'ship' });
    await requireSameWindows(installation, readings.length);
  },
);

test('rows that are dropped leave their windows', { timeout: limitMs }, async (context) => {
  const broker = await startEmbeddedBroker(context);
  const readings = lastOfEach(madeUpReadings(500));
  const installation = await replay(context, broker.url, { readings, kills: 1, raw: 'drop' });
  const question = 'select sum(value_count), max(value_max) from temperature_1h';
  const expected = [readings.length, Math.max(...readings.map(({ value }) => value))];
  const isThere = async () => {
    const answer = await installation.query(question);
    return JSON.stringify((answer?.body.rows?.[0] ?? []).map(Number)) === JSON.stringify(expected);
  };
  // A killed agent starts anew first.
  await waitFor('the windows', isThere, 60_000);
  assert.equal((await installation.query('select * from temperature'))?.body.code, 'table_not_found');
});
