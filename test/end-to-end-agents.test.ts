/** What an agent says of itself, as it arrives at the centre. */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { startEmbeddedBroker } from './brokers.js';
import { Installation } from './installation.js';
import { waitFor } from './processes.js';

const streams = { temperature: { topic: 'plant/{site}/{device}/temperature', format: 'json' } };

interface AgentsAnswer {
  readonly agents: readonly {
    readonly agent: string;
    readonly age_seconds: number;
    readonly status: {
      readonly written_at: string;
      readonly epoch: string;
      readonly store: { readonly last_confirmed: string | null };
    };
  }[];
}

test(
  'the status of an agent stands in the store, without secrets, and tsdb lists it',
  { timeout: 120_000 },
  async (context) => {
    const broker = await startEmbeddedBroker(context);
    const brokerUrl = broker.url.replace('mqtt://', 'mqtt://user-word:secret-word@');
    const installation = await Installation.create(context, { brokerUrl, streams });
    installation.startTsdb();
    installation.startAgent();
    await Promise.all([installation.agentReady(), installation.tsdbReady()]);
    const client = await mqtt.connectAsync(broker.url);
    context.after(() => client.endAsync(true));
    await client.publishAsync('plant/a/b/temperature', '{"value":1}', { qos: 1 });

    const shown = await waitFor('the agent to be listed with its shipment', async () => {
      const { agents } = ((await installation.get('/api/v1/agents'))?.body ?? { agents: [] }) as AgentsAnswer;
      return agents.find(({ status }) => status.store.last_confirmed !== null);
    });
    assert.equal(shown.agent, 'press-hall-3');
    assert(shown.age_seconds < 60);
    const text = readFileSync(join(installation.lake, 'agents', 'press-hall-3', 'status.json'), 'utf8');
    assert.doesNotMatch(text, /secret-word|user-word/);
    const { written_at, ...document } = JSON.parse(text) as AgentsAnswer['agents'][number]['status'];
    assert.match(written_at, /^\d{4}-.*Z$/);
    assert.deepEqual(Object.keys(document), Object.keys((await installation.agentStatus()) ?? {}));
  },
);
