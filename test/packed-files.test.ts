/**
 * What npm packs of `common`: everything that its modules import, and nothing that is only for tests.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

describe('@varve/common, as npm packs it', () => {
  const directory = fileURLToPath(new URL('../../common/', import.meta.url));
  let paths: Set<string>;

  before(async () => {
    const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json'], { cwd: directory });
    const [packed] = JSON.parse(stdout) as { files: { path: string }[] }[];
    paths = new Set(packed?.files.map(({ path }) => path));
  });

  it('has the stores', () => {
    assert.ok(paths.has('dist/store/open-store.js'));
    assert.ok(paths.has('dist/store/s3-store.d.ts'));
  });

  it('has nothing that is only for tests, and nothing of the compiler', () => {
    const unwanted = [...paths].filter((path) =>
      /\.test\.|conformance|store-asserts|planted|tsbuildinfo/.test(path),
    );
    assert.deepEqual(unwanted, []);
  });

  it('has every module that its modules import', async () => {
    for (const path of [...paths].filter((name) => name.endsWith('.js')))
      for (const [, imported = ''] of (await readFile(join(directory, path), 'utf8')).matchAll(
        /(?:from |import\()'(\.[^']+)'/g,
      ))
        assert.ok(paths.has(posix.join(posix.dirname(path), imported)), `${path} imports ${imported}`);
  });
});
