import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { fillTemplate, openDemoFolder, writeConfigs } from './demo-folder.js';

function temporaryFolder(context: TestContext): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'varve-demo-folder-')));
  context.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('a folder is created, and opened again', async (context) => {
  const path = join(temporaryFolder(context), 'new', 'data');
  const first = await openDemoFolder(path, false);
  assert.equal(first.path, path);
  await first.release();
  await (await openDemoFolder(path, false)).release();
});

test('a folder with something of another kind in it is left alone', async (context) => {
  const path = temporaryFolder(context);
  writeFileSync(join(path, 'thesis.txt'), 'years of work');
  for (const isFresh of [false, true])
    await assert.rejects(openDemoFolder(path, isFresh), (error) => isFailure(error, 'data_dir_mismatch'));
  assert.equal(readFileSync(join(path, 'thesis.txt'), 'utf8'), 'years of work');
});

test('a path that cannot be a folder is refused', async (context) => {
  const path = join(temporaryFolder(context), 'file');
  writeFileSync(path, '');
  await assert.rejects(openDemoFolder(path, false), (error) => isFailure(error, 'config_invalid'));
});

test('a fresh start deletes what an earlier one left', async (context) => {
  const path = temporaryFolder(context);
  const folder = await openDemoFolder(path, false);
  writeFileSync(join(path, 'lake'), 'old');
  await folder.release();
  await (await openDemoFolder(path, false)).release();
  assert.ok(existsSync(join(path, 'lake')), 'another start keeps it');
  await (await openDemoFolder(path, true)).release();
  assert.ok(!existsSync(join(path, 'lake')));
});

test('two demos cannot have one folder, and neither can delete it under the other', async (context) => {
  const path = temporaryFolder(context);
  const folder = await openDemoFolder(path, false);
  writeFileSync(join(path, 'lake'), 'in use');
  await assert.rejects(openDemoFolder(path, true), (error) => isFailure(error, 'data_dir_in_use'));
  assert.ok(existsSync(join(path, 'lake')));
  await folder.release();
});

test('the configurations get the ports of this start', async (context) => {
  const folder = await openDemoFolder(temporaryFolder(context), false);
  writeConfigs(folder, { MQTT_PORT: 11883, HTTP_PORT: 18181, EDGE_PORT: 18182 });
  const edge = readFileSync(folder.edgeConfig, 'utf8');
  assert.match(edge, /mqtt:\/\/127\.0\.0\.1:11883\n/);
  assert.match(edge, /127\.0\.0\.1:18182/);
  assert.match(readFileSync(folder.tsdbConfig, 'utf8'), /127\.0\.0\.1:18181/);
  await folder.release();
});

test('a value that is not given stays at its default', () => {
  assert.equal(fillTemplate('${A:-1} ${B:-2}', { B: 3 }), '1 3');
});
