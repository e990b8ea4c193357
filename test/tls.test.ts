/** tsdb with a certificate of its own: over HTTPS only, for clients that trust its authority, and renewed as it runs. */
import { strict as assert } from 'node:assert';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { get as askPlain } from 'node:http';
import { get as askSecure } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { stringify } from 'yaml';
import { systemClock } from '@varve/common/clock.js';
import { silentLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { createHttpServer, listen } from '@varve/tsdb/http/http-server.js';
import { ServerCertificate } from '@varve/tsdb/http/server-certificate.js';
import { TestAuthority, type KeyPair } from './certificates.js';
import { temporaryFolder, startTsdb } from './installation.js';
import { freePort, waitFor } from './processes.js';
import { skipWithoutOpenssl } from './requirements.js';

const options = { skip: skipWithoutOpenssl(), timeout: 120_000 };

interface Secured {
  readonly dir: string;
  readonly port: number;
  readonly authority: TestAuthority;
  readonly run: (...args: string[]) => Promise<{ code: number | null; output: string }>;
}

function writeConfig(dir: string, port: number, tls: unknown): void {
  const config = { store: './lake', data_dir: './tsdb-data', listen: `127.0.0.1:${port}`, tls };
  writeFileSync(join(dir, 'tsdb.yaml'), stringify(config));
}

async function secured(context: TestContext): Promise<Secured> {
  const dir = temporaryFolder(context);
  const authority = new TestAuthority(join(dir, 'authority'));
  place(authority.issue('tsdb'), dir);
  const port = await freePort();
  writeConfig(dir, port, { cert: 'server.pem', key: 'server.key' });
  const run = async (command: string, ...args: string[]) => {
    const program = startTsdb(context, [command, '--config', 'tsdb.yaml', ...args], {
      cwd: dir,
    });
    const { code } = await program.exited;
    return { code, output: program.output };
  };
  return { dir, port, authority, run: (...args) => run(args[0] ?? '', ...args.slice(1)) };
}

function place({ cert, key }: KeyPair, dir: string): void {
  copyFileSync(cert, join(dir, 'server.pem'));
  copyFileSync(key, join(dir, 'server.key'));
}

function ask(url: string, ca?: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const get = url.startsWith('https:') ? askSecure : askPlain;
    get(url, { ca, agent: false }, (response) => {
      text(response).then((body) => {
        resolve({ status: response.statusCode ?? 0, body });
      }, reject);
    }).once('error', reject);
  });
}

test('tsdb answers over HTTPS, and the command line asks it there', options, async (context) => {
  const { dir, port, authority, run } = await secured(context);
  const server = startTsdb(context, ['serve', '--config', 'tsdb.yaml'], { cwd: dir });
  const ca = readFileSync(authority.cert, 'utf8');
  const url = `https://127.0.0.1:${port}/api/v1/tables`;
  await waitFor(
    'tsdb to answer',
    () =>
      ask(url, ca).then(
        ({ status }) => status === 200,
        () => false,
      ),
    30_000,
    () => server.output,
  );
  assert.deepEqual(JSON.parse((await ask(url, ca)).body), { tables: [] });
  await assert.rejects(ask(url), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  await assert.rejects(ask(url.replace('https', 'http'), ca));
  assert.deepEqual(await run('query', 'select 1 as x', '--json').then(({ code }) => code), 0);

  // The command line trusts what the configuration names, not whatever is shown.
  place(new TestAuthority(join(dir, 'another')).issue('other'), dir);
  const refused = await run('tables');
  assert.notEqual(refused.code, 0);
  assert.match(refused.output, /no answer from https:.*certificate/);
});

test('a certificate that cannot be used is named at the start', options, async (context) => {
  const { dir, port, authority, run } = await secured(context);
  copyFileSync(authority.issue('other').key, join(dir, 'server.key'));
  const { code, output } = await run('serve');
  assert.equal(code, 78);
  assert.match(output, /tls\.key: is not the key of `cert`/);
  writeConfig(dir, port, { cert: 'server.pem' });
  assert.match((await run('serve')).output, /tls/);
  writeConfig(dir, port, { cert: 'nowhere.pem', key: 'server.key' });
  assert.match((await run('serve')).output, /tls\.cert: is no certificate in PEM \(.*nowhere\.pem/);
});

test(
  'a renewed certificate is shown to whoever comes next; a broken one is not',
  options,
  async (context) => {
    const dir = temporaryFolder(context);
    const authority = new TestAuthority(join(dir, 'authority'));
    place(authority.issue('first'), dir);
    const tls = { cert: join(dir, 'server.pem'), key: join(dir, 'server.key') };
    const certificate = new ServerCertificate(tls, { clock: systemClock, log: silentLogger() });
    const registry = createRegistry(() => 0);
    const server = createHttpServer({ log: silentLogger(), registry, bodyBytesMax: 1_000, certificate });
    context.after(() => server.close());
    const { port } = await listen(server, { host: '127.0.0.1', port: 0 }, 'listen');
    const ca = readFileSync(authority.cert, 'utf8');
    const shown = () =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, ca }, () => {
          resolve(socket.getPeerCertificate().subject.CN);
          socket.end();
        }).once('error', reject);
      });
    assert.equal(await shown(), 'first');
    writeFileSync(tls.cert, 'half a certif');
    certificate.renew();
    assert.equal(await shown(), 'first');
    place(authority.issue('second'), dir);
    certificate.renew();
    assert.equal(await shown(), 'second');
  },
);
