import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { formatListenAddress } from '@varve/common/config/listen-address.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { createHttpServer, listen, type FastifyInstance } from './http-server.js';
import { takeLittle, writeBody, type Body } from './write-body.js';

let server: FastifyInstance;
let url: string;
let isClosed: boolean;

/** A piece too long for one write, and then the failure. It takes a while until everything is given back. */
const failing: Body = {
  pieces: (async function* () {
    yield await Promise.resolve(Buffer.alloc(100_000));
    throw new Error('on the way');
  })(),
  close: async () => {
    await systemClock.sleep(200);
    isClosed = true;
  },
  trailers: { 'x-query-status': () => 'ok' },
};

before(async () => {
  server = createHttpServer({ log: silentLogger(), registry: new Registry(), bodyBytesMax: 1_000 });
  server.get('/', async (_request, reply) => {
    writeBody(await takeLittle(failing), failing, reply, {
      encoding: undefined,
      queryId: 'q',
      log: silentLogger(),
    });
    return reply;
  });
  const address = await listen(server, { host: '127.0.0.1', port: 0 }, 'listen');
  url = `http://${formatListenAddress(address)}`;
});
after(() => server.close());

test('when a client sees an answer break off, its query has ended and is in the list', async () => {
  isClosed = false;
  const response = await fetch(url);
  await assert.rejects(response.text(), /terminated/);
  assert.ok(isClosed);
});
