import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  allViolations,
  contractViolations,
  dependencyViolations,
  packageViolations,
  processViolations,
  shapeViolations,
  sharedCodeViolations,
  timeViolations,
  tsdbViolations,
  type Manifest,
  type Manifests,
} from './rules/rules.js';
import { parseSource, type Source } from './rules/source.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const packages = ['common', 'edge-agent', 'tsdb', 'deploy', 'test'];

test('the sources keep the rules of the house', () => {
  const sources = packages.flatMap(sourcesOf);
  assert.ok(sources.length > packages.length, 'there are sources to look at');
  assert.equal(allViolations(sources, manifests()).join('\n'), '');
});

test('a program may not import the other program, by whatever name', () => {
  assertOne(packageViolations, 'tsdb/src/x.ts', `import { a } from '@varve/edge-agent/a.js';`);
  assertOne(packageViolations, 'edge-agent/src/x.ts', `import type { A } from '../../tsdb/src/a.js';`);
  assertOne(packageViolations, 'common/x.ts', `export * from '../edge-agent/src/a.js';`);
  assertNone(packageViolations, 'tsdb/src/x.ts', `import { a } from '@varve/common/a.js';`);
});

test('the contract imports errors, zod and itself', () => {
  assertOne(contractViolations, 'common/contract/x.ts', `import { a } from '../log.js';`);
  assertOne(contractViolations, 'common/contract/x.ts', `import { a } from 'yaml';`);
  assertOne(contractViolations, 'common/contract/x.ts', `import { a } from 'node:fs';`);
  assertNone(contractViolations, 'common/contract/x.ts', `import { a } from '../errors.js';`);
  assertNone(contractViolations, 'common/contract/x.ts', `import { z } from 'zod';`);
});

test('inside tsdb imports go downwards', () => {
  assertOne(tsdbViolations, 'tsdb/src/delta/x.ts', `import { a } from '../query/a.js';`);
  assertOne(tsdbViolations, 'tsdb/src/query/x.ts', `import { a } from '../ingest/a.js';`);
  assertOne(tsdbViolations, 'tsdb/src/cache/x.ts', `const a = await import('../http/a.js');`);
  assertOne(tsdbViolations, 'tsdb/src/ingest/x.ts', `import { a } from '../tsdb.js';`);
  assertNone(tsdbViolations, 'tsdb/src/http/x.ts', `import { a } from '../query/a.js';`);
  assertNone(tsdbViolations, 'tsdb/src/delta/deep/x.ts', `import { a } from '../a.js';`);
  assertNone(tsdbViolations, 'tsdb/src/delta/x.test.ts', `import { a } from '../query/a.js';`);
});

test('only main.ts touches process', () => {
  assertOne(processViolations, 'tsdb/src/http/x.ts', `const home = process.env.HOME;`);
  assertOne(processViolations, 'tsdb/src/http/x.ts', `import { env } from 'node:process';`);
  assertOne(processViolations, 'common/x.ts', `stop(process);`);
  assertNone(
    processViolations,
    'tsdb/src/http/x.ts',
    `worker.process(); const a = { process: 1 }; // process`,
  );
  assertNone(processViolations, 'tsdb/src/main.ts', `run(process);`);
});

test('only clock.ts reads time', () => {
  assertOne(timeViolations, 'tsdb/src/x.ts', `const now = Date.now();`);
  assertOne(timeViolations, 'tsdb/src/x.ts', `const now = new Date();`);
  assertOne(timeViolations, 'tsdb/src/x.ts', `const now = Date();`);
  assertOne(timeViolations, 'deploy/demo/x.ts', `const now = performance.now();`);
  assertOne(timeViolations, 'edge-agent/src/main.ts', `const now = process.hrtime();`);
  assertNone(timeViolations, 'tsdb/src/x.ts', `const day = new Date(ms).toISOString();`);
  assertNone(timeViolations, 'common/clock.ts', `const now = Date.now();`);
});

test('what is in common is used by both programs, if through other files of common', () => {
  const sources = [
    parseSource('common/both.ts', `import { a } from './through-both.js';`),
    parseSource('common/through-both.ts', ''),
    parseSource('common/one.ts', ''),
    parseSource('common/nobody.ts', ''),
    parseSource('common/tests.ts', ''),
    parseSource('edge-agent/src/x.ts', `import '@varve/common/both.js'; import '@varve/common/one.js';`),
    parseSource('tsdb/src/x.ts', `import { a } from '@varve/common/both.js';`),
    parseSource('tsdb/src/x.test.ts', `import '@varve/common/one.js'; import '@varve/common/tests.js';`),
    parseSource('common/contract/read.ts', ''),
    parseSource('tsdb/src/reader.ts', `import '@varve/common/contract/read.js';`),
    parseSource('common/contract/old.ts', ''),
  ];
  assert.deepEqual(sharedCodeViolations(sources), [
    'common/one.ts is used by edge-agent alone: it does not belong in common',
    'common/nobody.ts is used by nobody: it does not belong in common',
    'common/contract/old.ts is used by nobody: it does not belong in common',
  ]);
});

test('a package is imported by those who declare it', () => {
  const declared: Manifests = {
    tsdb: { dependencies: { mqtt: '5', '@aws/s3': '3' }, devDependencies: { 'fast-check': '4' } },
  };
  const rule = (sources: readonly Source[]) => dependencyViolations(sources, declared);
  assertOne(rule, 'tsdb/src/x.ts', `import { a } from 'yaml';`);
  assertOne(rule, 'tsdb/src/x.ts', `import { a } from 'fast-check';`);
  assertOne(rule, 'common/x.ts', `import { a } from 'mqtt';`);
  assertNone(rule, 'tsdb/src/x.test.ts', `import { a } from 'fast-check';`);
  assertNone(rule, 'tsdb/src/x.ts', `import { a } from 'mqtt/deep.js'; import { b } from '@aws/s3/deep';`);
});

test('a file is short, named for what it does, and its exports have names', () => {
  assertOne(shapeViolations, 'common/x.ts', 'a();\n'.repeat(401));
  assertOne(shapeViolations, 'common/utils.ts', '');
  assertOne(shapeViolations, 'common/helpers/x.ts', '');
  assertOne(shapeViolations, 'common/types.test.ts', '');
  assertOne(shapeViolations, 'common/x.ts', 'export default function a() {}');
  assertOne(shapeViolations, 'common/x.ts', 'export default 1;');
  assertOne(shapeViolations, 'common/x.ts', 'const a = 1; export { a as default };');
  assertNone(shapeViolations, 'common/x.ts', 'switch (a) { default: b(); }\n'.repeat(400));
});

type Rule = (sources: readonly Source[]) => string[];

function assertOne(rule: Rule, path: string, text: string): void {
  const violations = rule([parseSource(path, text)]);
  assert.equal(violations.length, 1, `${path}: ${text} → ${violations.join('; ')}`);
  assert.ok(violations[0]?.startsWith(path), 'a violation begins with its place');
}

function assertNone(rule: Rule, path: string, text: string): void {
  assert.deepEqual(rule([parseSource(path, text)]), []);
}

function sourcesOf(name: string): Source[] {
  const folder = existsSync(join(root, name, 'src')) ? `${name}/src` : name;
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.split(sep).join('/')}`)
    .filter((path) => path.endsWith('.ts') && !/\/(dist|node_modules)\//.test(path))
    .map((path) => parseSource(path, readFileSync(join(root, path), 'utf8')));
}

function manifests(): Manifests {
  const read = (folder: string) =>
    JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest;
  return Object.fromEntries(['', ...packages].map((folder) => [folder, read(folder)]));
}
