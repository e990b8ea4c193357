/**
 * Which files are tests: every compiled `*.test.js` whose source still exists. What a deleted or renamed source left
 * behind in `dist` is not run.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const packages = ['common', 'edge-agent', 'tsdb', 'deploy', 'test'];

/** Absolute paths, in order. `filters`: only files whose path contains one of these texts; none means all. */
export function findTestFiles(root: string, filters: readonly string[]): string[] {
  return packages
    .flatMap((name) => compiledTests(root, name))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
    .map((path) => join(root, path));
}

function compiledTests(root: string, name: string): string[] {
  const dist = join(root, name, 'dist');
  if (!existsSync(dist)) return [];
  const sources = existsSync(join(root, name, 'src')) ? join(name, 'src') : name;
  return readdirSync(dist, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.js'))
    .filter((path) => existsSync(join(root, sources, path.replace(/\.js$/, '.ts'))))
    .sort()
    .map((path) => join(name, 'dist', path));
}
