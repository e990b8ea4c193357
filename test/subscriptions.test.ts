/**
 * Topics that are taken out of the configuration: the broker's session outlives the agent, and must not bring them any more,
 * neither live nor from its queue.
 */
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { parse, stringify } from 'yaml';
import { startMosquitto } from './brokers.js';
import { Installation, temporaryFolder } from './installation.js';
import { waitFor } from './processes.js';
import { skipWithoutMosquitto } from './requirements.js';

const stream = (topic: string) => ({ topic, format: 'json', fields: { value: 'long' } });
const a = stream('a/{device}');
const b = stream('b/{device}');

test(
  'a topic that is no longer configured: unsubscribed, and what waits of it in the session is let go',
  { skip: skipWithoutMosquitto(), timeout: 90_000 },
  async (context) => {
    const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
    const sourceOf = (topics: string[]) => ({ sources: { plant: { mqtt: broker.url, topics } } });
    const installation = await Installation.create(context, {
      ...{ brokerUrl: broker.url, streams: { a, b }, edge: sourceOf(['a/#', 'b/#']) },
    });
    const client = await mqtt.connectAsync(broker.url);
    context.after(() => client.endAsync(true));
    const publish = (topic: string, count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, value) =>
          client.publishAsync(topic, JSON.stringify({ value }), { qos: 1 }),
        ),
      );
    const counted = (name: string, count: number) =>
      waitFor(
        `${name} to be ${count}`,
        async () => (await installation.agentMetric(`varve_edge_messages_${name}_total`)) === count,
        15_000,
        () => installation.agent?.output ?? '',
      );

    installation.startAgent();
    await installation.agentReady();
    await Promise.all([publish('a/1', 10), publish('b/1', 10)]);
    await counted('durable', 20);
    await installation.agent?.stop();

    await Promise.all([publish('a/1', 10), publish('b/1', 10)]);
    const path = join(installation.dir, 'edge.yaml');
    const config = parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, stringify({ ...config, streams: { a }, ...sourceOf(['a/#']) }));
    installation.startAgent();
    await installation.agentReady();
    await counted('unwanted', 10);
    await counted('durable', 10);
    assert.equal(await installation.agentMetric('varve_edge_messages_acknowledged_total'), 20);

    // The broker no longer sends them at all: what is published behind them has come.
    await publish('b/1', 10);
    await publish('a/1', 10);
    await counted('durable', 20);
    await counted('unwanted', 10);
    assert.equal(await installation.agentMetric('varve_edge_messages_received_total'), 30);
    assert.deepEqual((await installation.agentStatus())?.losses.total, {}, 'no dead letters');
  },
);
