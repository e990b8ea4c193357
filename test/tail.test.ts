/** `varve-edge tail`: what the running agent makes of messages, while it does. */
import { strict as assert } from 'node:assert';
import { request } from 'node:http';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import mqtt from 'mqtt';
import { startEmbeddedBroker } from './brokers.js';
import { edgeProgram, Installation } from './installation.js';
import { freePort, startNode, startProcess, waitFor } from './processes.js';

const streams = {
  readings: { topic: 'plant/{device}/readings', format: 'json', time: { path: 'ts', unit: 'ms' } },
  levels: { topic: 'plant/{device}/level', format: 'value' },
};

async function start(context: TestContext) {
  const broker = await startEmbeddedBroker(context);
  const port = await freePort();
  const edge = { status: { listen: `127.0.0.1:${port}` } };
  const installation = await Installation.create(context, { brokerUrl: broker.url, streams, edge });
  installation.startAgent();
  await waitFor(
    'the agent to connect',
    async () => (await status(port))?.includes('"connected":true'),
    30_000,
  );
  const client = await mqtt.connectAsync(broker.url);
  context.after(() => client.endAsync(true));
  const tail = (...args: string[]) =>
    startNode(context, edgeProgram, ['tail', '--config', 'edge.yaml', ...args], { cwd: installation.dir });
  return { installation, client, tail, port };
}

async function status(port: number): Promise<string | undefined> {
  return await fetch(`http://127.0.0.1:${port}/status`).then(
    (answer) => answer.text(),
    () => undefined,
  );
}

test('messages are shown as they are decoded, and an agent that ends ends the tail', async (context) => {
  const { installation, client, tail } = await start(context);
  const [all, levels] = [tail(), tail('levels', '--limit', '1')];
  const send = async () => {
    await client.publishAsync('plant/a/readings', '{"ts":1795300046309,"t":21.5,"on":true}', { qos: 1 });
    await client.publishAsync('plant/a/level', '7', { qos: 1 });
    await client.publishAsync('plant/a/readings', '{', { qos: 1 });
    return all.stdout.includes('"refused"') && all.stdout.includes('"levels"') && !levels.isRunning;
  };
  await waitFor('both to show something', send, 30_000, () => all.output + levels.output);
  const lines = all.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const reading = lines.find(({ rows, stream }) => rows && stream === 'readings');
  assert.deepEqual(reading?.['rows'], [
    {
      ...{ table: 'readings', time: '2026-11-21T22:27:26.309Z' },
      ...{ tags: { device: 'a' }, fields: { t: 21.5, on: true } },
    },
  ]);
  const refused = lines.find((line) => 'refused' in line);
  assert.equal((refused?.['refused'] as { code: string }).code, 'not_json');
  assert.match(levels.stdout, /^\{[^\n]*"stream":"levels"[^\n]*\}\n$/, 'one line, of that stream');
  assert.equal((await installation.agent?.stop())?.code, 0);
  assert.equal((await all.exited).code, 0, all.output);
});

test('a reader that has seen enough ends the tail without a word', async (context) => {
  const { installation, client } = await start(context);
  const line = `"${process.execPath}" "${edgeProgram}" tail --config edge.yaml | head -n 1`;
  const piped = startProcess(context, 'sh', ['-c', line], { cwd: installation.dir });
  const send = async () => {
    await client.publishAsync('plant/a/level', '7', { qos: 1 });
    return !piped.isRunning;
  };
  await waitFor('the pipe to end', send, 30_000, () => piped.output);
  assert.match(piped.output, /^\{[^\n]*\}\n$/, 'one line, and nothing on standard error');
});

test('a stream that does not exist, and an agent that does not run, are explained', async (context) => {
  const { installation, tail } = await start(context);
  const unknown = tail('reading');
  assert.equal((await unknown.exited).code, 1);
  assert.match(unknown.output, /no stream "reading"[^]*the streams are readings, levels/);
  await installation.agent?.stop();
  const alone = tail();
  assert.equal((await alone.exited).code, 75);
  assert.match(alone.output, /no agent answers[^]*varve-edge run/);
});

test('a name that a web page made point here is not answered', async (context) => {
  const { port } = await start(context);
  const asked = request({ port, host: '127.0.0.1', path: '/tail', headers: { host: 'evil.example' } });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }];
  answer.resume();
  assert.equal(answer.statusCode, 403);
});
