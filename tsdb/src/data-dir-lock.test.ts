import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { lockDataDir } from './data-dir-lock.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'data-dir-lock-'));
});
after(() => rm(folder, { recursive: true }));

test('a second process is refused, and gets in once the first is gone, however it went', async () => {
  const module = new URL('./data-dir-lock.js', import.meta.url).href;
  const script = `
    const { lockDataDir } = await import(${JSON.stringify(module)});
    await lockDataDir(${JSON.stringify(folder)});
    console.log('locked');
    setInterval(() => undefined, 1000);`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(other.stdout, 'data');
  await assert.rejects(lockDataDir(folder), (error) => isFailure(error, 'data_dir_in_use'));
  other.kill('SIGKILL');
  await once(other, 'exit');
  (await lockDataDir(folder)).release();
  (await lockDataDir(folder)).release();
});

test('a damaged lock is no lock', async () => {
  await writeFile(join(folder, 'lock.duckdb'), 'this is no database');
  (await lockDataDir(folder)).release();
});

test('says that the folder cannot be made', async () => {
  await writeFile(join(folder, 'file'), '');
  await assert.rejects(lockDataDir(join(folder, 'file', 'data')), (error) =>
    isFailure(error, 'data_dir_unusable'),
  );
});
