/**
 * The contract with the broker (DESIGN I1), against real ones: what is acknowledged, when, and on which connection. It also
 * holds the pinned version of mqtt.js to the internals that `mqtt-connection.ts` relies on.
 */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import mqtt from 'mqtt';
import { systemClock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { readBlock } from '@varve/edge-agent/log/block.js';
import type { NewBlock } from '@varve/edge-agent/log/edge-log.js';
import { createEdgeMetrics } from '@varve/edge-agent/metrics.js';
import { MqttSource } from '@varve/edge-agent/source/mqtt-source.js';
import { startEmbeddedBroker, startMosquitto } from './brokers.js';
import { waitFor } from './processes.js';
import { skipWithoutMosquitto } from './requirements.js';
import { startTcpProxy } from './tcp-proxy.js';

/** A log whose appends the test settles: `undefined` makes the block durable. */
class HeldLog {
  readonly blocks: { texts: string[]; settle: (failure?: Failure) => void }[] = [];
  isHolding = true;

  append(blocks: readonly NewBlock[]): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const settle = (failure?: Failure) => (failure ? reject(failure) : resolve([1]));
      const texts = blocks.flatMap(({ bytes }) =>
        [...readBlock(bytes)].map(({ payload }) => Buffer.from(payload).toString()),
      );
      this.blocks.push({ texts, settle });
      if (!this.isHolding) settle();
    });
  }

  get texts(): string[] {
    return this.blocks.flatMap(({ texts }) => texts);
  }

  release(): void {
    this.isHolding = false;
    for (const { settle } of this.blocks) settle();
  }
}

interface SourceUnderTest {
  readonly source: MqttSource;
  readonly log: HeldLog;
  readonly received: () => Promise<number>;
  stop(): Promise<void>;
}

function startSource(context: TestContext, port: number, { keepaliveSeconds = 60 } = {}): SourceUnderTest {
  const log = new HeldLog();
  const metrics = createEdgeMetrics(createRegistry(() => 0));
  const source = new MqttSource({
    config: {
      ...{ name: 'plant', url: `mqtt://127.0.0.1:${port}`, brokerName: 'broker', topics: ['plant/#'] },
      ...{ clientId: 'varve-test', username: undefined, password: undefined },
      ...{ keepaliveSeconds, sessionExpirySeconds: 3_600, receiveMaximum: 1_000 },
    },
    ...{
      log,
      metrics,
      clock: systemClock,
      random: () => 0,
      logger: silentLogger(),
      onDurable: () => undefined,
    },
    limits: { messagesMax: 1_000, bytesMax: 1e6, delayMs: 5 },
  });
  const stopping = new AbortController();
  const running = source.run(stopping.signal);
  const stop = async () => {
    stopping.abort();
    log.release();
    await running;
  };
  context.after(stop);
  const received = async () => (await metrics.messagesReceived.get()).values[0]?.value ?? 0;
  return { source, log, received, stop };
}

async function publish(url: string, texts: readonly string[], qos: 0 | 1 = 1): Promise<void> {
  const client = await mqtt.connectAsync(url);
  for (let start = 0; start < texts.length; start += 500) {
    const some = texts.slice(start, start + 500);
    await Promise.all(some.map((text) => client.publishAsync('plant/a', text, { qos })));
  }
  await client.endAsync();
}

const connected = (source: MqttSource) => waitFor('the source to connect', () => source.state().connected);

function temporaryFolder(context: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'varve-mqtt-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const options = { skip: skipWithoutMosquitto(), timeout: 60_000 };

test(
  'a message whose storing failed is not acknowledged and comes again; one that is durable does not',
  options,
  async (context) => {
    const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
    const first = startSource(context, broker.port);
    await connected(first.source);
    assert.equal(first.source.state().protocolVersion, '5.0');
    await publish(broker.url, ['1', '2', '3']);
    await waitFor('the messages', () => first.log.texts.length === 3);
    for (const block of first.log.blocks) block.settle(new Failure('disk_full', 'planted'));
    await waitFor('the messages again', () => first.log.texts.length === 6);
    assert.deepEqual(first.log.texts, ['1', '2', '3', '1', '2', '3']);
    await first.stop();

    const second = startSource(context, broker.port);
    await connected(second.source);
    assert(second.source.state().sessionPresent, 'the session went on');
    await publish(broker.url, ['4']);
    await waitFor('the next message', () => second.log.texts.length > 0);
    assert.deepEqual(second.log.texts, ['4'], 'what was acknowledged does not come again');
  },
);

test('an acknowledgement never crosses to another connection', options, async (context) => {
  const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
  const proxy = await startTcpProxy(context, broker.port);
  const { source, log } = startSource(context, proxy.port);
  await connected(source);
  await publish(broker.url, ['1', '2']);
  await waitFor('the messages on the first connection', () => log.texts.length === 2);
  const again = async (connection: number) => {
    proxy.cut();
    await waitFor(
      'a new connection',
      () => proxy.connectionCount() === connection && source.state().connected,
    );
    // Durable only now: the PUBACKs belong to a connection that is gone. The broker uses the same packet identifiers again.
    for (const block of log.blocks) block.settle();
    await waitFor(`the messages on connection ${connection}`, () => log.texts.length === 2 * connection);
  };
  await again(2);
  // Had the first connection's PUBACKs been sent on the second, nothing would be left to send on the third.
  await again(3);
  assert.deepEqual(log.texts, ['1', '2', '1', '2', '1', '2']);
});

test('a disk that takes longer than the keepalive does not cost the connection', options, async (context) => {
  const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
  const proxy = await startTcpProxy(context, broker.port);
  const { source, log } = startSource(context, proxy.port, { keepaliveSeconds: 1 });
  await connected(source);
  await publish(broker.url, ['1']);
  await waitFor('the message', () => log.blocks.length === 1);
  // Mosquitto gives up after 1.5 keepalives.
  await systemClock.sleep(4_000);
  assert(source.state().connected);
  assert.equal(proxy.connectionCount(), 1);
});

test(
  'with the disk standing still, reading stops at a bound and goes on afterwards',
  options,
  async (context) => {
    const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
    const { source, log, received } = startSource(context, broker.port);
    await connected(source);
    // QoS 0, which no receive maximum limits.
    await publish(
      broker.url,
      Array.from({ length: 15_000 }, (_, index) => String(index)),
      0,
    );
    await waitFor('reading to reach the bound', async () => (await received()) >= 10_000);
    await systemClock.sleep(500);
    assert.equal(await received(), 10_000);
    log.release();
    await waitFor('the rest', () => log.texts.length === 15_000);
    assert.deepEqual(log.texts.slice(-2), ['14998', '14999']);
  },
);

test('a broker that speaks MQTT 3.1.1 only is spoken to in 3.1.1', { timeout: 60_000 }, async (context) => {
  const broker = await startEmbeddedBroker(context);
  const { source, log } = startSource(context, broker.port);
  log.release();
  await connected(source);
  assert.equal(source.state().protocolVersion, '3.1.1');
  await publish(broker.url, ['1', '2']);
  await waitFor('the messages', () => log.texts.length === 2);
});

test('a broker that is away is waited for', options, async (context) => {
  const dir = temporaryFolder(context);
  const before = await startMosquitto(context, { dir });
  const { source, log } = startSource(context, before.port);
  log.release();
  await connected(source);
  await before.process.stop();
  await waitFor('the loss to be seen', () => !source.state().connected);
  const after = await startMosquitto(context, { dir, port: before.port });
  await connected(source);
  await publish(after.url, ['back']);
  await waitFor('the message', () => log.texts.includes('back'));
});
