import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { directPackages, missingPackages, outdatedPackages } from './installed.mjs';

const lockfile = {
  '': { devDependencies: { typescript: '6' } },
  edge: { dependencies: { mqtt: '5', ws: '7' } },
  test: { dependencies: { chdb: '3' } },
  'node_modules/typescript': { version: '6.0.3' },
  'node_modules/mqtt': { version: '5.16.0' },
  'node_modules/ws': { version: '8.0.0' },
  'edge/node_modules/ws': { version: '7.0.0' },
  'node_modules/chdb': { version: '3.4.0' },
};

test('a package that a workspace has in its own version is looked for there', () => {
  assert.deepEqual(directPackages(lockfile, ['edge']), [
    'node_modules/typescript',
    'node_modules/mqtt',
    'edge/node_modules/ws',
  ]);
});

test('an installed package in another version than the lockfile says is outdated', () => {
  const installed = { ...lockfile, 'node_modules/mqtt': { version: '5.15.0' } };
  assert.deepEqual(outdatedPackages(lockfile, installed), ['node_modules/mqtt']);
});

test('a package that somebody installed besides is no concern of ours', () => {
  assert.deepEqual(
    outdatedPackages(lockfile, { ...lockfile, 'node_modules/left-pad': { version: '1.0.0' } }),
    [],
  );
});

test('nothing is missing when npm has installed what the workspaces need', (context) => {
  const root = installation(context, [
    'node_modules/typescript',
    'node_modules/mqtt',
    'edge/node_modules/ws',
  ]);
  assert.deepEqual(missingPackages(root, ['edge']), []);
});

test('a package of a workspace that was not needed before is missing', (context) => {
  const root = installation(context, [
    'node_modules/typescript',
    'node_modules/mqtt',
    'edge/node_modules/ws',
  ]);
  assert.deepEqual(missingPackages(root, ['edge', 'test']), ['node_modules/chdb']);
});

test('on a fresh clone everything is missing', (context) => {
  assert.deepEqual(missingPackages(installation(context, []), ['test']), [
    'node_modules/typescript',
    'node_modules/chdb',
  ]);
});

/** A folder in which npm has installed these packages of `lockfile`. */
function installation(context: TestContext, folders: readonly (keyof typeof lockfile)[]): string {
  const root = mkdtempSync(join(tmpdir(), 'varve-setup-'));
  context.after(() => rmSync(root, { recursive: true }));
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: lockfile }));
  const installed = Object.fromEntries(folders.map((folder) => [folder, lockfile[folder]]));
  if (folders.length > 0)
    writeFileSync(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages: installed }));
  return root;
}
