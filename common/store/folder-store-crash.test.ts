/**
 * Kills processes that write into a folder store, at random moments, and then looks whether every object is whole.
 *
 * Started with a directory as argument this file is such a process: it puts objects whose keys are the hashes of their
 * contents, for ever, and prints each key once its put has returned.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../clock.js';
import { FolderStore } from './folder-store.js';
import { keysOf } from './store-asserts.js';

const killCount = 12;
const longestLifeMs = 80;
const objectBytes = 1_000_000;
const concurrentPuts = 4;

const writersRoot = process.argv[2];
if (writersRoot === undefined) test('objects of killed processes are whole or absent', killAndVerify);
else await writeForEver(writersRoot);

async function killAndVerify(): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'varve-crash-'));
  const confirmedKeys: string[] = [];
  for (let round = 0; round < killCount; round++) confirmedKeys.push(...(await writeAndKill(root)));
  assert.ok(confirmedKeys.length >= killCount, `only ${confirmedKeys.length} objects were written`);

  const store = await FolderStore.open(root);
  const keys = await keysOf(store, '');
  for (const key of keys) assert.equal(keyOf(await store.get(key)), key);
  assert.deepEqual(
    confirmedKeys.filter((key) => !keys.includes(key)),
    [],
  );

  await FolderStore.open(root, { clock: { ...systemClock, nowMs: () => Date.now() + 2 * 3_600_000 } });
  assert.deepEqual(await readdir(join(root, '.tmp')), []);
  await rm(root, { recursive: true });
}

/** Returns the keys whose puts had returned. */
async function writeAndKill(root: string): Promise<string[]> {
  const writer = spawn(process.execPath, [fileURLToPath(import.meta.url), root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const confirmedKeys: string[] = [];
  const lines = createInterface(writer.stdout).on('line', (key) => confirmedKeys.push(key));
  await once(lines, 'line');
  await systemClock.sleep(randomInt(longestLifeMs));
  writer.kill('SIGKILL');
  await once(lines, 'close');
  return confirmedKeys;
}

async function writeForEver(root: string): Promise<never> {
  const store = await FolderStore.open(root);
  for (;;) await Promise.all(Array.from({ length: concurrentPuts }, () => writeOne(store)));
}

async function writeOne(store: FolderStore): Promise<void> {
  const content = randomBytes(objectBytes);
  const key = keyOf(content);
  await store.putIfAbsent(key, content);
  process.stdout.write(`${key}\n`);
}

function keyOf(content: Uint8Array): string {
  const hash = createHash('sha256').update(content).digest('hex');
  return `${hash.slice(0, 2)}/${hash}`;
}
