import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { formatListenAddress, type ListenAddress } from '@varve/common/config/listen-address.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { createHttpServer, listen, type FastifyInstance } from './http-server.js';
import { takeLittle, writeBody, type Body } from './write-body.js';

let server: FastifyInstance;
let address: ListenAddress;
let url: string;
const closed = new Set<Body>();

/** A piece too long for one write, and then the failure. It takes a while until everything is given back. */
const failing: Body = {
  pieces: (async function* () {
    yield await Promise.resolve(Buffer.alloc(100_000));
    throw new Error('on the way');
  })(),
  close: async () => {
    await systemClock.sleep(200);
    closed.add(failing);
  },
  trailers: { 'x-query-status': () => 'ok' },
};

/** More than the system takes for a client that reads nothing, some MB. */
const hugePieces = 1_000;
let piecesMade = 0;
const huge: Body = {
  pieces: (async function* () {
    while (piecesMade++ < hugePieces) yield await Promise.resolve(Buffer.alloc(100_000));
  })(),
  close: () => {
    closed.add(huge);
    return Promise.resolve();
  },
  trailers: {},
};

before(async () => {
  server = createHttpServer({ log: silentLogger(), registry: new Registry(), bodyBytesMax: 1_000 });
  const options = { encoding: undefined, queryId: 'q', log: silentLogger(), stalledMsMax: 300 };
  const bodies: Readonly<Record<string, Body>> = { failing, huge };
  server.get<{ Params: { body: string } }>('/:body', async (request, reply) => {
    const body = bodies[request.params.body] ?? failing;
    writeBody(await takeLittle(body), body, reply, options);
    return reply;
  });
  address = await listen(server, { host: '127.0.0.1', port: 0 }, 'listen');
  url = `http://${formatListenAddress(address)}`;
});
after(() => server.close());

test('when a client sees an answer break off, its query has ended and is in the list', async () => {
  const response = await fetch(`${url}/failing`);
  await assert.rejects(response.text(), /terminated/);
  assert.ok(closed.has(failing));
});

test('a client that takes nothing for too long is let go', async (context) => {
  const stuck = connect(address.port, address.host).pause();
  stuck.on('error', () => undefined).write('GET /huge HTTP/1.1\r\nhost: a\r\n\r\n');
  context.after(() => stuck.destroy());
  await until(() => closed.has(huge));
  assert.ok(piecesMade < hugePieces / 2, `${piecesMade} pieces wait for it`);
});

async function until(isTrue: () => boolean): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  while (!isTrue()) {
    assert.ok(systemClock.monotonicMs() - startedMs < 5_000, 'it took too long');
    await systemClock.sleep(5);
  }
}
