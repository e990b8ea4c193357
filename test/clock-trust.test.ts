/**
 * A gateway without a battery clock, with a real agent: its clock stands in the past, is set later, and steps again (libfaketime).
 */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { systemClock } from '@varve/common/clock.js';
import { startMosquitto } from './brokers.js';
import { Installation, temporaryFolder } from './installation.js';
import { waitFor } from './processes.js';
import { skipWithoutMosquitto } from './requirements.js';
import { FalseClock, whyNoFalseClock } from './torture/false-clock.js';

const options = { skip: skipWithoutMosquitto() || (whyNoFalseClock() ?? false), timeout: 90_000 };
const year = 365 * 86_400;

test(
  'rows without a time of their own wait for the clock, over a kill, and are put right by it',
  options,
  async (context) => {
    const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
    const installation = await Installation.create(context, {
      brokerUrl: broker.url,
      streams: { readings: { topic: 'plant/{device}/readings', format: 'json', fields: { value: 'long' } } },
      edge: { clock: { trust: 'synchronised', patience: '1h' } },
    });
    const clock = new FalseClock(join(installation.dir, 'clock'));
    clock.set(-20 * year);
    installation.startTsdb();
    installation.startAgent(clock.env);
    await Promise.all([installation.agentReady(), installation.tsdbReady()]);
    const client = await mqtt.connectAsync(broker.url);
    context.after(() => client.endAsync(true));
    const sentMs: number[] = [];
    const send = async () => {
      const payload = JSON.stringify({ value: sentMs.length });
      sentMs.push(systemClock.nowMs());
      await client.publishAsync('plant/a/readings', payload, { qos: 1 });
    };
    // Perhaps within one millisecond, which must not make them one row.
    await Promise.all([send(), send()]);
    const held = await waitFor('two messages to wait', async () => {
      const status = await installation.agentStatus();
      return status?.clock.waiting_messages === 2 ? status.clock : undefined;
    });
    assert.equal(held.state, 'waiting');
    assert.match(await installation.printedStatus(), /clock +not trusted: .*2 messages wait for it/);

    await installation.agent?.kill();
    installation.startAgent(clock.env);
    await installation.agentReady();
    await send();
    clock.set(0);
    await waitFor(
      'the clock to be trusted',
      async () => (await installation.agentStatus())?.clock.state === 'trusted',
      30_000,
      () => installation.agent?.output ?? '',
    );
    await send();
    // Later steps are followed, and change nothing in the order.
    clock.set(-3_600);
    await waitFor('the step to be seen', async () => (await installation.agentStatus())?.clock.steps === 2);
    await send();

    const rows = await waitFor(
      'all rows',
      async () => {
        const answer = await installation.query('select value, epoch_ms(time) from readings order by value');
        return answer?.body.rows?.length === sentMs.length
          ? answer.body.rows.map((row) => row.map(Number))
          : undefined;
      },
      30_000,
      () => installation.agent?.output ?? '',
    );
    const lateMs = rows.map(([value = -1, timeMs = 0]) => timeMs - (sentMs[value] ?? 0));
    for (const ms of lateMs.slice(0, 4)) assert(ms > -1_000 && ms < 5_000, `late by ${lateMs.join()} ms`);
    assert(Math.abs((lateMs[4] ?? 0) + 3_600_000) < 5_000, 'as the clock said then');
    const ledger = await waitFor('the ledger', async () => {
      const answer = await installation.query(
        "select kind, count, reason from varve_losses where kind like 'clock%'",
      );
      return answer?.body.rows?.length === 1 ? answer.body.rows[0] : undefined;
    });
    assert.deepEqual(ledger.slice(0, 2).map(String), ['clock_corrected', '3']);
    assert.match(String(ledger[2]), /put right by \+(7299|7300) d/);
    assert.match(await installation.metrics(), /varve_edge_clock_trusted 1/);
  },
);
