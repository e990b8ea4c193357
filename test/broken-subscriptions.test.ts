/** Subscriptions that come to nothing: a broker made of bytes hangs up, or refuses, where a real one seldom does. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { Installation } from './installation.js';
import { waitFor, type Owner } from './processes.js';

/** MQTT 5.0 §3.2: no session present, success, no properties. */
const connack = Buffer.from([0x20, 3, 0, 0, 0]);
const options = { timeout: 60_000 };

/** Answers every CONNECT, and hands SUBSCRIBE to the test with its number among the connections. */
async function startBrokerOfBytes(
  owner: Owner,
  onSubscribe: (socket: Socket, suback: (code: number) => void, connection: number) => void,
): Promise<string> {
  let connections = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    socket.on('error', () => socket.destroy());
    socket.once('data', () => {
      socket.write(connack);
      socket.once('data', ([, , high = 0, low = 0]: Buffer) => {
        const suback = (code: number) => void socket.write(Buffer.from([0x90, 4, high, low, 0, code]));
        onSubscribe(socket, suback, connection);
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  owner.after(() => {
    server.close();
    return Promise.resolve();
  });
  return `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const streams = { torture: { topic: 'plant/{device}', format: 'json' } };

test('a connection that breaks while the agent subscribes is made again', options, async (context) => {
  const brokerUrl = await startBrokerOfBytes(context, (socket, suback, connection) => {
    if (connection === 1) socket.destroy();
    else suback(1);
  });
  const installation = await Installation.create(context, { brokerUrl, streams });
  installation.startAgent();
  await installation.agentReady();
  assert.deepEqual(await installation.agent?.stop(), { code: 0, signal: null });
});

test(
  'a subscription that the broker refuses is named in the status, and tried again',
  options,
  async (context) => {
    const brokerUrl = await startBrokerOfBytes(context, (_, suback, connection) =>
      suback(connection === 1 ? 0x87 : 1),
    );
    const installation = await Installation.create(context, { brokerUrl, streams });
    installation.startAgent();
    await waitFor(
      'the refusal in the output',
      () => installation.agent?.output.includes('the broker refuses the subscription to plant/#'),
      30_000,
      () => installation.agent?.output ?? '',
    );
    await installation.agentReady();
  },
);
