/**
 * What a running agent has in memory, by what V8 says was loaded: everything else is for the configuration, for a command, or for
 * an option that is not set, and stays on the disk until then. Each module that slips in is paid for on every gateway.
 */
import { strict as assert } from 'node:assert';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PacedBroker } from './bench/paced-broker.js';
import { Installation, temporaryFolder } from './installation.js';
import { waitFor } from './processes.js';

const readManifest = createRequire(import.meta.url);
const dependencies = new Set(
  ['../../common/package.json', '../../edge-agent/package.json'].flatMap((path) =>
    Object.keys((readManifest(path) as { dependencies: Record<string, string> }).dependencies),
  ),
);
/** Text, not memory; it was 2.3 MB, and 3.7 MB with everything. */
const sourceBytesMax = 2_600_000;

test('a running agent has loaded what it needs to take messages and to ship them, and nothing else', async (context) => {
  const files = await mainThreadFiles(context);
  assert.ok(files.some((file) => file.endsWith('/edge-agent/dist/agent.js')));
  const loaded = [...dependencies].filter((name) =>
    files.some((file) => file.includes(`/node_modules/${name}/`)),
  );
  assert.deepEqual(loaded.toSorted(), ['commander', 'mqtt', 'pino', 'prom-client']);
  const schemas = files.filter((file) => /schema\.js$|\/doctor\/|salvage/.test(file) && isOurs(file));
  assert.deepEqual(schemas, []);
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  assert.ok(bytes <= sourceBytesMax, `${bytes} bytes of source are loaded`);
});

/** Every file that the main thread loaded from its start to its end, with messages in and shipments out. */
async function mainThreadFiles(context: TestContext): Promise<string[]> {
  const broker = await PacedBroker.start(context);
  const installation = await Installation.create(context, {
    brokerUrl: broker.url,
    streams: { environment: { topic: 'plant/{device}', format: 'json' } },
    isBench: true,
  });
  const coverage = temporaryFolder(context);
  installation.startAgent({ NODE_V8_COVERAGE: coverage });
  await broker.subscribed();
  await broker.send([{ topic: 'plant/press-1', payload: '{"temperature":21.5}' }], 1);
  const shipped = () =>
    existsSync(installation.lake) &&
    readdirSync(installation.lake, { recursive: true, encoding: 'utf8' }).some((name) =>
      /^inbox.*\.parquet$/.test(name),
    );
  await waitFor('the message to be shipped', shipped, 30_000, () => installation.agent?.output ?? '');
  assert.equal((await installation.agent?.stop())?.code, 0);
  const mainThread = readdirSync(coverage).filter((name) => name.endsWith('-0.json'));
  assert.equal(mainThread.length, 1);
  const { result } = JSON.parse(readFileSync(join(coverage, mainThread[0] ?? ''), 'utf8')) as {
    result: { url: string }[];
  };
  return result.flatMap(({ url }) => (url.startsWith('file:') ? [fileURLToPath(url)] : []));
}

function isOurs(file: string): boolean {
  return !file.includes('/node_modules/');
}
