import { strict as assert } from 'node:assert';
import { request as askRaw } from 'node:http';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { answerJson, createLocalHttpServer, type LocalRoutes } from './local-http.js';

async function startServer(context: TestContext, routes: LocalRoutes) {
  const server = createLocalHttpServer(routes, silentLogger());
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 }, 'status.listen');
  context.after(() => server.close());
  return { server, port, url: `http://127.0.0.1:${port}` };
}

const echo: LocalRoutes = {
  'GET /plain': ({ params }) => answerJson(Object.fromEntries(params)),
  'POST /echo': async ({ readJson }) => answerJson({ said: await readJson() }),
  'GET /refused': () => {
    throw new Failure('overloaded', 'not now', { hint: 'later' });
  },
  'GET /broken': () => {
    throw new TypeError('a secret of the inside');
  },
};

test('answers JSON, with the parameters of the address, to GET and HEAD', async (context) => {
  const { url } = await startServer(context, echo);
  const response = await fetch(`${url}/plain?a=1&b=%20x`);
  assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
  assert.deepEqual(await response.json(), { a: '1', b: ' x' });
  const head = await fetch(`${url}/plain`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), '');
});

test('says what is wrong as a problem document, and nothing of its inside', async (context) => {
  const { url } = await startServer(context, echo);
  const cases = [
    ['GET', '/nowhere', 404, 'route_not_found'],
    ['GET', '//', 404, 'route_not_found'],
    ['GET', '/__proto__', 404, 'route_not_found'],
    ['DELETE', '/plain', 404, 'route_not_found'],
    ['GET', '/refused', 503, 'overloaded'],
    ['GET', '/broken', 500, 'internal'],
  ] as const;
  for (const [method, path, status, code] of cases) {
    const response = await fetch(`${url}${path}`, { method });
    const body = await response.text();
    assert.equal(response.status, status, path);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    assert.equal((JSON.parse(body) as { code: string }).code, code);
    assert.doesNotMatch(body, /secret/);
  }
  assert.equal((await fetch(`${url}/refused`)).headers.get('retry-after'), '1');
});

test('takes JSON bodies of a kilobyte, and no more', async (context) => {
  const { url } = await startServer(context, echo);
  const post = (body: string) => fetch(`${url}/echo`, { method: 'POST', body });
  assert.deepEqual(await (await post('{"a":1}')).json(), { said: { a: 1 } });
  assert.deepEqual(await (await post('')).json(), {});
  assert.equal((await post('{oops')).status, 400);
  assert.equal((await post(JSON.stringify('x'.repeat(1_022)))).status, 200);
  assert.equal((await post(JSON.stringify('x'.repeat(1_023)))).status, 413);
});

test('does not read a body without an end', async (context) => {
  const { port } = await startServer(context, echo);
  const asked = askRaw({ port, host: '127.0.0.1', path: '/echo', method: 'POST' });
  asked.on('error', () => undefined);
  const status = new Promise((resolve) =>
    asked.once('response', ({ statusCode }) => {
      resolve(statusCode);
    }),
  );
  asked.write('x'.repeat(5_000));
  assert.equal(await status, 413);
  asked.destroy();
});

test('a stream is sent as it comes, ends with its reader, and ends when the server closes', async (context) => {
  const streams: PassThrough[] = [];
  const routes: LocalRoutes = {
    'GET /stream': () => {
      const body = new PassThrough();
      streams.push(body);
      return { type: 'application/jsonl', body };
    },
  };
  const { server, url } = await startServer(context, routes);
  const hangingUp = new AbortController();
  const first = await fetch(`${url}/stream`, { signal: hangingUp.signal });
  assert.equal(first.status, 200);
  hangingUp.abort();
  while (streams[0]?.destroyed !== true) await sleep(5);

  await fetch(`${url}/stream`, { method: 'HEAD' });
  while (streams[1]?.destroyed !== true) await sleep(5);

  const second = await fetch(`${url}/stream`);
  streams[2]?.write('{"a":1}\n');
  const closing = server.close();
  streams[2]?.end('{"a":2}\n');
  assert.equal(await second.text(), '{"a":1}\n{"a":2}\n');
  await closing;
});

test('a taken port is named with the option to use', async (context) => {
  const { port } = await startServer(context, echo);
  await assert.rejects(
    createLocalHttpServer(echo, silentLogger()).listen({ host: '127.0.0.1', port }, 'status.listen'),
    (error: Failure) =>
      error.code === 'port_taken' && (error.message + String(error.hint)).includes('status.listen'),
  );
});

test('what is not HTTP costs the others nothing', async (context) => {
  const { port, url } = await startServer(context, echo);
  const socket = connect(port, '127.0.0.1');
  socket.end('\u0000\u0001 not http\r\n\r\n');
  assert.match(await text(socket), /^HTTP\/1\.1 400/);
  assert.equal((await fetch(`${url}/plain`)).status, 200);
});
