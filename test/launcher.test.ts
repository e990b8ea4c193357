/** `varve-edge` as npm puts it on the path: a link to a shell script, which becomes the agent's process. */
import { strict as assert } from 'node:assert';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { edgeCommand, Installation, temporaryFolder } from './installation.js';
import { startProcess } from './processes.js';

test('it starts through a link, with all of its arguments, and ends with the exit code of the program', async (context) => {
  const link = join(temporaryFolder(context), 'varve-edge');
  symlinkSync(edgeCommand, link);
  const process = startProcess(context, link, ['check', '--config', 'no such file.yaml']);
  assert.equal((await process.exited).code, 78);
  assert.match(process.output, /no such file\.yaml/);
});

test('the agent runs with the thresholds of glibc fixed, in the very process that was started', async (context) => {
  const installation = await Installation.create(context, {
    brokerUrl: 'mqtt://127.0.0.1:1',
    streams: { environment: { topic: 'plant/{device}', format: 'json' } },
    isBench: true,
  });
  installation.startAgent();
  await installation.agent?.waitForOutput(/collecting/);
  const environment = readFileSync(`/proc/${installation.agent?.pid ?? 0}/environ`, 'utf8').split('\0');
  assert.ok(environment.includes('MALLOC_MMAP_THRESHOLD_=131072'));
  assert.equal((await installation.agent?.stop())?.code, 0);
});
