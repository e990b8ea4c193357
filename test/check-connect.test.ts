/** `varve-edge check --connect`: what brokers and stores say, with real ones, while an agent runs undisturbed. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import mqtt from 'mqtt';
import { stringify } from 'yaml';
import { startEmbeddedBroker, startMosquitto } from './brokers.js';
import { TestAuthority } from './certificates.js';
import { edgeProgram, Installation, temporaryFolder } from './installation.js';
import { freePort, startNode, waitFor } from './processes.js';
import { skipWithoutMosquitto, skipWithoutOpenssl } from './requirements.js';

const streams = { readings: { topic: 'plant/{device}', format: 'json' } };

interface Report {
  readonly brokers: readonly {
    readonly source: string;
    readonly problem?: { readonly code: string; readonly hint: string };
    readonly certificate?: { readonly subject: string; readonly expires: string; readonly trusted: boolean };
    readonly agreed?: { readonly protocolVersion: string; readonly receiveMaximum: number };
    readonly topics: readonly {
      readonly filter: string;
      readonly messages: number;
      readonly example: string;
    }[];
  }[];
  readonly store: { readonly proven: boolean };
  readonly agent: Readonly<Record<string, { readonly connected: boolean }>> | null;
  readonly notes: readonly string[];
}

async function check(context: TestContext, dir: string, args: readonly string[] = []) {
  const all = ['check', '--config', 'edge.yaml', '--connect', '--json', ...args];
  const asked = startNode(context, edgeProgram, all, { cwd: dir });
  const { code } = await asked.exited;
  return { code, report: JSON.parse(asked.stdout) as Report };
}

test('it says what a broker agrees to and what comes, and the running agent does not notice', async (context) => {
  const broker = await startEmbeddedBroker(context);
  const installation = await Installation.create(context, { brokerUrl: broker.url, streams });
  installation.startAgent();
  await installation.agentReady();
  const before = (await installation.agentStatus())?.sources['plant'];
  const client = await mqtt.connectAsync(broker.url);
  context.after(() => client.endAsync(true));
  const isDone = new AbortController();
  const publishing = (async () => {
    while (!isDone.signal.aborted) {
      await client.publishAsync('plant/press-1', '{"t":1}', { qos: 1 });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const { code, report } = await check(context, installation.dir, ['--seconds', '2']);
  isDone.abort();
  await publishing;
  assert.equal(code, 0, JSON.stringify(report));
  const [plant] = report.brokers;
  assert(plant?.agreed && plant.topics[0]);
  assert.equal(plant.problem, undefined);
  assert(plant.topics[0].messages > 1);
  assert.equal(plant.topics[0].example, 'plant/press-1');
  assert.equal(report.store.proven, true);
  assert.equal(report.agent?.['plant']?.connected, true);
  const after = (await installation.agentStatus())?.sources['plant'];
  assert.deepEqual(after, before, 'the agent kept its connection');
});

const withPasswords = (path: string, port: number, more: readonly string[] = []) => [
  `listener ${port} 127.0.0.1`,
  'allow_anonymous false',
  `password_file ${path}`,
  ...more,
];

test(
  'each way in which a broker keeps us out has a name and a remedy',
  { skip: skipWithoutMosquitto() || skipWithoutOpenssl() },
  async (context) => {
    const dir = temporaryFolder(context);
    const authority = new TestAuthority(join(dir, 'tls'));
    const server = authority.issue('broker');
    const passwords = join(dir, 'passwords');
    execFileSync('mosquitto_passwd', ['-b', '-c', passwords, 'gateway', 'right']);
    const [port, tlsPort] = [await freePort(), await freePort()];
    const tls = [`listener ${tlsPort} 127.0.0.1`, `certfile ${server.cert}`, `keyfile ${server.key}`];
    await startMosquitto(context, { dir, more: [...withPasswords(passwords, port), ...tls] });
    const at = (url: string, more: object = {}) => ({ mqtt: url, topics: ['plant/#'], ...more });
    const plainUrl = `mqtt://127.0.0.1:${port}`;
    const tlsUrl = `mqtts://127.0.0.1:${tlsPort}`;
    const known = { username: 'gateway', password: 'right' };
    const sources = {
      right: at(plainUrl, known),
      wrong: at(plainUrl, { username: 'gateway', password: 'wrong' }),
      nobody: at(plainUrl),
      dead: at('mqtt://127.0.0.1:1'),
      nowhere: at('mqtt://no-such-host.invalid:1883'),
      untrusted: at(tlsUrl, known),
      trusted: at(tlsUrl, { ...known, tls: { ca: authority.cert } }),
      other: at(`mqtts://127.0.0.1:${port}`),
    };
    writeFileSync(
      join(dir, 'edge.yaml'),
      stringify({
        agent: 'a',
        sources,
        streams: { s: { topic: 'hall/{x}', format: 'json' } },
        store: './lake',
      }),
    );
    const { code, report } = await check(context, dir, ['--seconds', '0']);
    assert.equal(code, 1);
    assert.deepEqual(
      Object.fromEntries(report.brokers.map(({ source, problem }) => [source, problem?.code])),
      {
        ...{ right: undefined, wrong: 'not_authorized', nobody: 'not_authorized', dead: 'refused' },
        ...{ nowhere: 'name_unknown', untrusted: 'certificate', trusted: undefined, other: 'closed' },
      },
    );
    for (const { problem } of report.brokers) assert(problem === undefined || problem.hint.length > 10);
    const shown = report.brokers.find(({ source }) => source === 'untrusted')?.certificate;
    assert.equal(shown?.subject, 'broker');
    assert.equal(shown.trusted, false);
    assert.match(report.notes[0] ?? '', /no source subscribes to hall\/\{x\}/);
    assert(!JSON.stringify(report).includes('"right"}'), 'no password is told');
  },
);

test('a store that cannot be used is told, with what to do', async (context) => {
  const dir = temporaryFolder(context);
  const broker = await startEmbeddedBroker(context);
  writeFileSync(join(dir, 'lake'), 'a file where the folder should be');
  const sources = { plant: { mqtt: broker.url, topics: ['plant/#'] } };
  writeFileSync(join(dir, 'edge.yaml'), stringify({ agent: 'a', sources, streams, store: './lake' }));
  const asked = startNode(
    context,
    edgeProgram,
    ['check', '--config', 'edge.yaml', '--connect', '--seconds', '0'],
    { cwd: dir },
  );
  assert.equal((await asked.exited).code, 1);
  await waitFor('the answer', () => asked.output.includes('store'));
  assert.match(asked.output, /store .*lake\n {2}PROBLEM: /);
});
