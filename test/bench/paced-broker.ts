/**
 * A broker for one subscriber, inside the bench: sends it messages at an even pace and notes how long each waits for its
 * PUBACK. Speaks as much MQTT 5 as the agent needs, and has no queue: so what is timed is the agent.
 */
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { systemClock } from '@varve/common/clock.js';
import { waitFor, type Owner } from '../processes.js';
import {
  encodePacket,
  encodePublish,
  PacketReader,
  packetTypes,
  uint16,
  type Packet,
  type PlainMessage,
} from './mqtt-packets.js';

const packetIds = 65_535;
const tickMs = 1;
/** Unacknowledged at most, looked at every so many. */
const floodWindow = 800;
const floodStep = 200;
const drainLimitMs = 10_000;

export class PacedBroker {
  #socket: Socket | undefined;
  #isSubscribed = false;
  #nextId = 1;
  #url = '';
  readonly #sentMs = new Map<number, number>();
  #latenciesMs: number[] = [];

  static async start(owner: Owner): Promise<PacedBroker> {
    const broker = new PacedBroker();
    const server = createServer((socket) => broker.#accept(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    owner.after(async () => {
      broker.#socket?.destroy();
      server.close();
      await once(server, 'close');
    });
    broker.#url = `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`;
    return broker;
  }

  get url(): string {
    return this.#url;
  }

  async subscribed(): Promise<void> {
    await waitFor('the agent to subscribe', () => this.#isSubscribed, 30_000);
  }

  /** Sends them evenly, waits for the last PUBACK, and returns how long each took, in ms. */
  async send(messages: Iterable<PlainMessage>, perSecond: number): Promise<number[]> {
    this.#latenciesMs = [];
    const startedMs = systemClock.monotonicMs();
    let sent = 0;
    for (const message of messages) {
      const dueMs = startedMs + (sent++ * 1_000) / perSecond;
      while (systemClock.monotonicMs() < dueMs) await systemClock.sleep(tickMs);
      this.#publish(message);
    }
    await waitFor('the last PUBACK', () => this.#sentMs.size === 0, drainLimitMs);
    return this.#latenciesMs;
  }

  /** Sends them as fast as they are acknowledged, and no faster than that on average. */
  async flood(messages: Iterable<PlainMessage>, perSecondMax: number): Promise<void> {
    const startedMs = systemClock.monotonicMs();
    const isEarly = (sent: number) => systemClock.monotonicMs() < startedMs + (sent * 1_000) / perSecondMax;
    let sent = 0;
    for (const message of messages) {
      this.#publish(message);
      if (++sent % floodStep === 0)
        while (this.#sentMs.size > floodWindow || isEarly(sent)) await systemClock.sleep(tickMs);
    }
    await waitFor('the last PUBACK', () => this.#sentMs.size === 0, drainLimitMs);
    this.#latenciesMs = [];
  }

  #publish(message: PlainMessage): void {
    const packetId = this.#nextId;
    this.#nextId = (packetId % packetIds) + 1;
    this.#sentMs.set(packetId, systemClock.monotonicMs());
    this.#socket?.write(encodePublish(message, packetId, 5));
  }

  #accept(socket: Socket): void {
    const reader = new PacketReader();
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      for (const packet of reader.push(bytes)) this.#answer(socket, packet);
    });
  }

  #answer(socket: Socket, { type, body }: Packet): void {
    if (type === packetTypes.connect) socket.write(encodePacket(0x20, [Buffer.from([0, 0, 0])]));
    if (type === packetTypes.pingreq) socket.write(encodePacket(0xd0, []));
    if (type === packetTypes.subscribe) {
      // One topic, granted at QoS 1; no properties.
      socket.write(encodePacket(0x90, [body.subarray(0, 2), Buffer.from([0, 1])]));
      this.#isSubscribed = true;
    }
    if (type === packetTypes.puback) this.#acknowledged(body.readUInt16BE(0));
  }

  #acknowledged(packetId: number): void {
    const sentMs = this.#sentMs.get(packetId);
    if (sentMs === undefined)
      throw new Error(`a PUBACK for ${uint16(packetId).toString('hex')}, which was not sent`);
    this.#sentMs.delete(packetId);
    this.#latenciesMs.push(systemClock.monotonicMs() - sentMs);
  }
}
