/** What comes over a connection and is no HTTP, or almost. */
import { connect } from 'node:net';
import { once } from 'node:events';
import { systemClock } from '@varve/common/clock.js';

const post = 'POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';

export const brokenRequests: readonly string[] = [
  '\r\n\r\n',
  '\u0000\u0001\u0002\u0003',
  '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
  'GET\r\n\r\n',
  'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
  'GET / HTTP/1.1\r\n\r\n',
  'GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /api/v1/tables/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET //etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'CONNECT localhost:22 HTTP/1.1\r\nHost: x\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
  'TRACE / HTTP/1.1\r\nHost: x\r\n\r\n',
  `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(200_000)}\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(5_000)}\r\n`,
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'GET /api/v1/query?sql=select+1 HTTP/1.1\r\nHost: x\r\nRange: bytes=0-,-1\r\nIf-None-Match: "\r\n\r\n',
  'GET /api/v1/query?sql=select+1 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: \u00ff;q=\u0000\r\n\r\n',
  `${post}Content-Length: -1\r\n\r\n`,
  `${post}Content-Length: 99999999999999999999\r\n\r\n{}`,
  `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   `,
  `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `${post}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}`,
  `${post}Transfer-Encoding: chunked\r\n\r\n2;x="\r\n{}\r\n0\r\n\r\n`,
  `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  `${post}Expect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n`,
  `${post}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}`,
  // Half of a body, and then nothing more.
  `${post}Content-Length: 100\r\n\r\n{"sql": "sel`,
];

const answerLimitMs = 2_000;

/** What the server says to it before it closes, at most for two seconds; then the connection is cut. */
export async function sendRaw(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
  socket.on('error', () => undefined);
  // Not `once` of node:events, for which a reset is a failure.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  socket.write(Buffer.from(request, 'latin1'));
  await Promise.race([closed, systemClock.sleep(answerLimitMs)]);
  socket.destroy();
  return answer;
}
