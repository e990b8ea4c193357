/**
 * The rules of the house (ARCHITECTURE.md, "Folders"): who may import whom, and what a file may be.
 *
 * Each rule is a pure function from sources to violations, one sentence each. Tests may import what they like of their
 * own program and own the clock and the process; the other rules hold for them too.
 */
import { posix } from 'node:path';
import type { Source } from './source.js';

export interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** By folder of the package; `''` is the root. */
export type Manifests = Readonly<Record<string, Manifest>>;

const lineCountMax = 400;
const bannedNames = new Set(['utils', 'util', 'helpers', 'helper', 'types', 'misc']);
const programs = ['edge-agent', 'tsdb'];

/** Which packages may import which, besides themselves. */
const packageImports: Readonly<Record<string, readonly string[]>> = {
  common: [],
  'edge-agent': ['common'],
  tsdb: ['common'],
  deploy: ['common'],
  test: ['common', 'edge-agent', 'tsdb', 'deploy'],
};

/** Which folders of `tsdb/src` may import which, besides themselves and files of `tsdb/src` itself. */
const tsdbImports: Readonly<Record<string, readonly string[]>> = {
  http: ['access', 'sensors', 'query', 'latest', 'delta'],
  access: [],
  sensors: ['query', 'latest', 'delta'],
  query: ['latest', 'delta', 'cache'],
  ingest: ['latest', 'delta', 'cache'],
  latest: ['delta', 'cache'],
  upkeep: ['delta', 'cache'],
  cache: ['delta'],
  delta: [],
};
/** These start everything; nothing that they start knows them. */
const tsdbTops = ['tsdb/src/main.ts', 'tsdb/src/tsdb.ts'];

const clockFile = 'common/clock.ts';
const contractPackages = ['zod'];
const contractFiles = ['common/errors.ts'];

export function allViolations(sources: readonly Source[], manifests: Manifests): string[] {
  return [
    ...packageViolations(sources),
    ...contractViolations(sources),
    ...tsdbViolations(sources),
    ...processViolations(sources),
    ...timeViolations(sources),
    ...sharedCodeViolations(sources),
    ...dependencyViolations(sources, manifests),
    ...shapeViolations(sources),
  ];
}

/** edge-agent and tsdb import common only, never each other; common imports nobody. */
export function packageViolations(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const allowed = [packageOf(source.path), ...(packageImports[packageOf(source.path)] ?? [])];
    return importedFiles(source)
      .filter((path) => !allowed.includes(packageOf(path)))
      .map((path) => `${source.path} imports ${path}: ${packageOf(source.path)} may import ${list(allowed)}`);
  });
}

/** The contract can be read, and reimplemented, alone. */
export function contractViolations(sources: readonly Source[]): string[] {
  return programSources(sources)
    .filter(({ path }) => path.startsWith('common/contract/'))
    .flatMap(({ path, imports }) =>
      imports
        .filter((imported) =>
          imported.kind === 'file'
            ? !imported.path.startsWith('common/contract/') && !contractFiles.includes(imported.path)
            : !(imported.kind === 'package' && contractPackages.includes(imported.name)),
        )
        .map(
          (imported) =>
            `${path} imports ${imported.kind === 'file' ? imported.path : imported.name}: the contract imports errors and itself`,
        ),
    );
}

/** http → query → delta ← ingest, upkeep; delta knows nothing above it. */
export function tsdbViolations(sources: readonly Source[]): string[] {
  return programSources(sources).flatMap((source) => {
    const allowed = tsdbImports[tsdbFolderOf(source.path) ?? ''];
    if (allowed === undefined) return [];
    return importedFiles(source)
      .filter((path) => tsdbTops.includes(path) || !isBelow(path, tsdbFolderOf(source.path), allowed))
      .map((path) => `${source.path} imports ${path}: it may import ${list(allowed)} and files of tsdb/src`);
  });
}

function isBelow(path: string, ownFolder: string | undefined, allowed: readonly string[]): boolean {
  const folder = tsdbFolderOf(path);
  return folder === undefined || folder === ownFolder || allowed.includes(folder);
}

/** `tsdb/src/delta/log/x.ts` → `delta`; undefined for files of `tsdb/src` itself and of other packages. */
function tsdbFolderOf(path: string): string | undefined {
  return /^tsdb\/src\/([^/]+)\//.exec(path)?.[1];
}

/** Only `main.ts` touches `process`; everything else is handed what it needs of it. `clock.ts` reads its clock there. */
export function processViolations(sources: readonly Source[]): string[] {
  return programSources(sources)
    .filter(({ path }) => posix.basename(path) !== 'main.ts' && path !== clockFile && !isDemo(path))
    .flatMap(({ path, processLines }) =>
      processLines.map((line) => `${path}:${line} touches process: main.ts hands on what is needed`),
    );
}

/** Only `clock.ts` reads time, so that tests and simulations own it. */
export function timeViolations(sources: readonly Source[]): string[] {
  return programSources(sources)
    .filter(({ path }) => path !== clockFile)
    .flatMap(({ path, timeLines }) =>
      timeLines.map((line) => `${path}:${line} reads time: take a Clock (common/clock.ts)`),
    );
}

/**
 * What one program alone uses does not belong in common. What only tests use may: suites, stores in memory. In the contract what
 * one program reads stands beside what the other writes.
 */
export function sharedCodeViolations(sources: readonly Source[]): string[] {
  const usedByTests = reachableFrom(sources, ({ path }) => isTest(path));
  const usedBy = programs.map((program) => ({
    program,
    paths: reachableFrom(sources, ({ path }) => packageOf(path) === program && !isTest(path)),
  }));
  return programSources(sources)
    .filter(({ path }) => packageOf(path) === 'common')
    .flatMap(({ path }) => {
      const users = usedBy.filter(({ paths }) => paths.has(path)).map(({ program }) => program);
      if (users.length === programs.length || (users.length === 0 && usedByTests.has(path))) return [];
      if (users.length > 0 && path.startsWith('common/contract/')) return [];
      return [
        `${path} is used by ${users.length === 0 ? 'nobody' : `${list(users)} alone`}: it does not belong in common`,
      ];
    });
}

function reachableFrom(sources: readonly Source[], isStart: (source: Source) => boolean): Set<string> {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const reached = new Set<string>();
  const waiting = sources.filter(isStart);
  for (let source = waiting.pop(); source !== undefined; source = waiting.pop())
    for (const path of importedFiles(source)) {
      const next = byPath.get(path);
      if (next === undefined || reached.has(path)) continue;
      reached.add(path);
      waiting.push(next);
    }
  return reached;
}

/** A package is imported by those who declare it: what runs at a customer's from `dependencies`. */
export function dependencyViolations(sources: readonly Source[], manifests: Manifests): string[] {
  return sources.flatMap((source) => {
    const owner = packageOf(source.path);
    const declared = new Set(Object.keys(manifests[owner]?.dependencies ?? {}));
    if (isTest(source.path))
      for (const manifest of [manifests[owner], manifests['']])
        for (const name of Object.keys(manifest?.devDependencies ?? {})) declared.add(name);
    return source.imports
      .flatMap((imported) => (imported.kind === 'package' ? [imported.name] : []))
      .filter((name) => !declared.has(name))
      .map((name) => `${source.path} imports ${name}: ${owner}/package.json does not declare it`);
  });
}

/** Length, names, and no default exports. */
export function shapeViolations(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, lineCount, defaultExportLines }) => [
    ...(lineCount > lineCountMax
      ? [`${path} has ${lineCount} lines: past ${lineCountMax} it is two things`]
      : []),
    ...path
      .split('/')
      .filter((part) => bannedNames.has(part.replace(/(\.test)?\.ts$/, '')))
      .map((part) => `${path}: "${part}" does not say what is in it`),
    ...defaultExportLines.map((line) => `${path}:${line} exports a default: give it a name`),
  ]);
}

function programSources(sources: readonly Source[]): Source[] {
  return sources.filter(({ path }) => !isTest(path));
}

/** Test files, and what only tests import: fixtures, the suites that several implementations share, the folder `test`. */
function isTest(path: string): boolean {
  return packageOf(path) === 'test' || /(\.test(\.fixture)?|conformance)\.ts$/.test(path);
}

/** The demo: a handful of programs, each of them its own `main.ts`. */
function isDemo(path: string): boolean {
  return packageOf(path) === 'deploy';
}

function packageOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function importedFiles({ imports }: Source): string[] {
  return imports.flatMap((imported) => (imported.kind === 'file' ? [imported.path] : []));
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'nothing else' : names.join(', ');
}
