/**
 * The contract with the broker (DESIGN I1), against real ones: what is acknowledged, when, and on which connection. It also
 * holds the pinned version of mqtt.js to the internals that `mqtt-connection.ts` relies on.
 */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import mqtt from 'mqtt';
import { systemClock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { IntakeGate } from '@varve/edge-agent/buffer/intake-gate.js';
import { readBlock, unknownClock } from '@varve/edge-agent/log/block.js';
import type { SourceConfig } from '@varve/edge-agent/config.js';
import type { EdgeLog, LogState, NewBlock, StoredBlock } from '@varve/edge-agent/log/edge-log.js';
import { startEdgeLog } from '@varve/edge-agent/log/start-edge-log.js';
import { createEdgeMetrics } from '@varve/edge-agent/metrics.js';
import { MqttConnection, type Arrival } from '@varve/edge-agent/source/mqtt-connection.js';
import { MqttSource } from '@varve/edge-agent/source/mqtt-source.js';
import { startEmbeddedBroker, startMosquitto } from './brokers.js';
import { waitFor } from './processes.js';
import { skipWithoutMosquitto } from './requirements.js';
import { startTcpProxy } from './tcp-proxy.js';

/** A log whose appends the test settles: `undefined` makes the block durable. */
class HeldLog {
  readonly blocks: { texts: string[]; settle: (failure?: Failure) => void }[] = [];
  isHolding = true;
  afterAppend: () => void = () => undefined;
  /** There is a session; its messages come any moment. */
  beforeSubscribing: () => void = () => undefined;
  readonly #real: EdgeLog | undefined;

  constructor(real?: EdgeLog) {
    this.#real = real;
    this.isHolding = real === undefined;
  }

  get opened(): LogState {
    return this.#real?.opened ?? ({ recentSeq: 1, endSeq: 1 } as LogState);
  }

  read(fromSeq: number, bytesMax: number): Promise<StoredBlock[]> {
    return this.#real?.read(fromSeq, bytesMax) ?? Promise.resolve([]);
  }

  subscribed(session: string): Promise<string[]> {
    return this.#real?.subscribed(session) ?? Promise.resolve([]);
  }

  setSubscribed(session: string, filters: readonly string[]): Promise<void> {
    this.beforeSubscribing();
    return this.#real?.setSubscribed(session, filters) ?? Promise.resolve();
  }

  async append(blocks: readonly NewBlock[]): Promise<number[]> {
    const texts = blocks.flatMap(({ bytes }) =>
      [...readBlock(bytes)].map(({ payload }) => Buffer.from(payload).toString()),
    );
    await this.#real?.append(blocks);
    this.afterAppend();
    return await new Promise((resolve, reject) => {
      const settle = (failure?: Failure) => (failure ? reject(failure) : resolve([1]));
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

function sourceConfig(port: number, keepaliveSeconds = 60): SourceConfig {
  return {
    ...{ name: 'plant', url: `mqtt://127.0.0.1:${port}`, brokerName: 'broker', topics: ['plant/#'] },
    ...{ clientId: 'varve-test', username: undefined, password: undefined },
    ...{ keepaliveSeconds, sessionExpirySeconds: 3_600, receiveMaximum: 1_000 },
  };
}

interface StartOptions {
  readonly keepaliveSeconds?: number;
  /** Absent: a log that the test settles by hand. */
  readonly log?: EdgeLog;
}

function startSource(context: TestContext, port: number, { keepaliveSeconds, log }: StartOptions = {}) {
  const held = new HeldLog(log);
  const intake = new IntakeGate();
  const metrics = createEdgeMetrics(createRegistry(() => 0));
  const source = new MqttSource({
    config: sourceConfig(port, keepaliveSeconds),
    ...{
      log: held,
      metrics,
      intake,
      clock: systemClock,
      arrivals: { nowMs: () => systemClock.nowMs(), blockClock: () => unknownClock },
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
    held.release();
    await running;
  };
  context.after(stop);
  const read = async (counter: 'messagesReceived' | 'messagesDurable' | 'messagesDuplicate') =>
    (await metrics[counter].get()).values[0]?.value ?? 0;
  return {
    ...{ source, held, intake, stop },
    received: () => read('messagesReceived'),
    durable: () => read('messagesDurable'),
    duplicates: () => read('messagesDuplicate'),
  };
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
    await waitFor('the messages', () => first.held.texts.length === 3);
    for (const block of first.held.blocks) block.settle(new Failure('disk_full', 'planted'));
    await waitFor('the messages again', () => first.held.texts.length === 6);
    assert.deepEqual(first.held.texts, ['1', '2', '3', '1', '2', '3']);
    await first.stop();

    const second = startSource(context, broker.port);
    await connected(second.source);
    assert(second.source.state().sessionPresent, 'the session went on');
    await publish(broker.url, ['4']);
    await waitFor('the next message', () => second.held.texts.length > 0);
    assert.deepEqual(second.held.texts, ['4'], 'what was acknowledged does not come again');
  },
);

test('an acknowledgement never crosses to another connection', options, async (context) => {
  const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
  const proxy = await startTcpProxy(context, broker.port);
  const open = async () => {
    const arrivals: Arrival[] = [];
    const connection = await MqttConnection.open({
      ...{ source: sourceConfig(proxy.port), protocolVersion: 5, connectTimeoutMs: 5_000 },
      onNewSession: () => undefined,
      onSession: () => Promise.resolve([]),
      signal: new AbortController().signal,
      onArrival: (_, arrival) => {
        arrivals.push(arrival);
        arrival.proceed();
      },
    });
    context.after(() => connection.destroy());
    return { connection, arrivals, ids: () => arrivals.map(({ packetId }) => packetId) };
  };
  const first = await open();
  await publish(broker.url, ['1', '2']);
  await waitFor('the messages', () => first.arrivals.length === 2);
  proxy.cut();
  await first.connection.closed;
  const second = await open();
  await waitFor('the messages on the second connection', () => second.arrivals.length === 2);
  assert.deepEqual(second.ids(), first.ids(), 'the broker uses the same identifiers');
  assert(second.arrivals.every(({ isRepeated }) => isRepeated));
  assert.equal(first.connection.acknowledge(first.ids()), 0);
  proxy.cut();
  await second.connection.closed;
  const third = await open();
  // Had those PUBACKs been sent on the second connection, nothing would be left to send on the third.
  await waitFor('the messages on the third connection', () => third.arrivals.length === 2);
});

test(
  'what comes again though the log has it is acknowledged and not stored twice, after a restart too',
  options,
  async (context) => {
    const dir = temporaryFolder(context);
    const broker = await startMosquitto(context, { dir });
    const proxy = await startTcpProxy(context, broker.port);
    const log = await startEdgeLog({ dataDir: join(dir, 'edge'), agent: 'press', newEpoch: 'e' });
    const before = startSource(context, proxy.port, { log });
    await connected(before.source);
    // The network goes down while the disk is at work: durable, but the PUBACKs have nowhere to go.
    before.held.afterAppend = () => proxy.setDown(true);
    await publish(broker.url, ['1', '2', '3']);
    await waitFor('the messages to be durable', async () => (await before.durable()) === 3);
    await before.stop();
    await log.close();

    proxy.setDown(false);
    const reopened = await startEdgeLog({ dataDir: join(dir, 'edge'), agent: 'press', newEpoch: 'e' });
    context.after(() => reopened.close());
    const after = startSource(context, proxy.port, { log: reopened });
    await waitFor('the messages again', async () => (await after.duplicates()) === 3);
    await publish(broker.url, ['4']);
    await waitFor('a new message', () => after.held.texts.length > 0);
    assert.deepEqual(after.held.texts, ['4']);
    await after.stop();

    const last = startSource(context, proxy.port);
    await connected(last.source);
    await publish(broker.url, ['5']);
    await waitFor('the newest message', () => last.held.texts.length > 0);
    assert.deepEqual(last.held.texts, ['5'], 'the others have been acknowledged');
  },
);

test('a disk that takes longer than the keepalive does not cost the connection', options, async (context) => {
  const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
  const proxy = await startTcpProxy(context, broker.port);
  const { source, held } = startSource(context, proxy.port, { keepaliveSeconds: 1 });
  await connected(source);
  await publish(broker.url, ['1']);
  await waitFor('the message', () => held.blocks.length === 1);
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
    const { source, held, received } = startSource(context, broker.port);
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
    held.release();
    await waitFor('the rest', () => held.texts.length === 15_000);
    assert.deepEqual(held.texts.slice(-2), ['14998', '14999']);
  },
);

test('a broker that speaks MQTT 3.1.1 only is spoken to in 3.1.1', { timeout: 60_000 }, async (context) => {
  const broker = await startEmbeddedBroker(context);
  const { source, held } = startSource(context, broker.port);
  held.release();
  await connected(source);
  assert.equal(source.state().protocolVersion, '3.1.1');
  await publish(broker.url, ['1', '2']);
  await waitFor('the messages', () => held.texts.length === 2);
});

test('a broker that is away is waited for', options, async (context) => {
  const dir = temporaryFolder(context);
  const before = await startMosquitto(context, { dir });
  const { source, held } = startSource(context, before.port);
  held.release();
  await connected(source);
  await before.process.stop();
  await waitFor('the loss to be seen', () => !source.state().connected);
  const after = await startMosquitto(context, { dir, port: before.port });
  await connected(source);
  await publish(after.url, ['back']);
  await waitFor('the message', () => held.texts.includes('back'));
});

test(
  'intake that closes while a connection is opened: it is given up, and the session comes later',
  { skip: skipWithoutMosquitto() },
  async (context) => {
    const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
    const session = await mqtt.connectAsync(broker.url, { clientId: 'varve-test', clean: false });
    await session.subscribeAsync('plant/#', { qos: 1 });
    await session.endAsync();
    // More than the broker sends without an acknowledgement.
    const texts = Array.from({ length: 3_000 }, (_, index) => String(index));
    await publish(broker.url, texts);
    const { held, intake } = startSource(context, broker.port);
    held.release();
    const closed = new Promise<void>((resolve) => {
      held.beforeSubscribing = () => {
        intake.stop('for a moment');
        resolve();
      };
    });
    await closed;
    held.beforeSubscribing = () => undefined;
    await systemClock.sleep(500);
    assert(held.texts.length < texts.length);
    intake.resume();
    await waitFor('the messages', () => new Set(held.texts).size === texts.length);
  },
);

test('a broker that does not answer holds up nobody who stops', async (context) => {
  const silent = createServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  context.after(() => silent.close());
  const connected = once(silent, 'connection');
  const { stop } = startSource(context, (silent.address() as AddressInfo).port);
  const [socket] = (await connected) as [Socket];
  context.after(() => socket.destroy());
  const startedMs = systemClock.monotonicMs();
  await stop();
  assert(systemClock.monotonicMs() - startedMs < 5_000);
});

test('who stops while the intake is closed stops', { skip: skipWithoutMosquitto() }, async (context) => {
  const broker = await startMosquitto(context, { dir: temporaryFolder(context) });
  const { source, intake, stop } = startSource(context, broker.port);
  await waitFor('the connection', () => source.state().connected);
  intake.stop('for good');
  await waitFor('the source to leave', () => source.state().lastError === 'stopped: for good');
  await stop();
});
