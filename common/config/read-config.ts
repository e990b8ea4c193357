/**
 * Configuration files: YAML, `${ENV}` in values, `--set path=value` on top, one zod schema that validates and fills
 * defaults. A wrong file yields every problem at once, with line, path and what to write instead (exit 78).
 *
 * 1. The text is parsed with positions kept. 2. `${NAME}` and `${NAME:-default}` are replaced inside string values,
 * never inside keys or structure. 3. `--set` assignments replace single values; their right side is YAML. 4. The schema
 * decides. 5. Each of its complaints is traced back to a line.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isScalar, LineCounter, parse, parseDocument, visit, type Document } from 'yaml';
import type { z } from 'zod';
import { Failure, messageOf, systemCodeOf } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { knownOptions } from './known-options.js';

export interface ConfigProblem {
  /** 1-based; undefined where the problem is in a `--set` or has no place in the file. */
  readonly line: number | undefined;
  /** `streams.environment.time.unit` */
  readonly path: string;
  readonly message: string;
}

export interface ConfigSource {
  readonly path: string;
  /** `path.to.option=value` texts, in order. */
  readonly assignments: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads and validates. Relative paths inside a configuration are relative to its file: see `resolveBeside`.
 * @throws Failure `config_unreadable`, or `config_invalid` with `facts.problems: ConfigProblem[]`
 */
export async function readConfig<T extends z.ZodType>(source: ConfigSource, schema: T): Promise<z.infer<T>> {
  return parseConfig(await readConfigText(source.path), source, schema);
}

async function readConfigText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new Failure('config_unreadable', `cannot read the configuration ${path}: ${messageOf(cause)}`, {
      cause,
      hint:
        systemCodeOf(cause) === 'ENOENT'
          ? 'give the path of an existing file with --config'
          : 'check its rights',
    });
  }
}

export function parseConfig<T extends z.ZodType>(text: string, source: ConfigSource, schema: T): z.infer<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems: ConfigProblem[] = document.errors.map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    path: '',
    message: `is not valid YAML: ${error.message}${yamlRemedies[error.code] ?? ''}`,
  }));
  const place: Place = {
    lineOf: (path) => findLine(document, lines, path),
    optionsAt: (path) => knownOptions(schema, path),
  };
  if (problems.length === 0) {
    problems.push(...replaceVariables(document, source.env, lines));
    problems.push(...source.assignments.flatMap((assignment) => applyAssignment(document, assignment)));
  }
  if (problems.length === 0) {
    const result = schema.safeParse(document.toJS() ?? {});
    if (result.success) return result.data;
    problems.push(...result.error.issues.flatMap((issue) => describeIssue(issue, place)));
  }
  throw invalidConfig(source.path, problems);
}

const yamlRemedies: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: ': indent with spaces',
  DUPLICATE_KEY: ': this option stands above already, remove one of them',
  BAD_INDENT: ': options of one level begin in the same column',
};

/** The failure that lists `problems`; also for checks that a schema cannot make. */
export function invalidConfig(path: string, problems: readonly ConfigProblem[]): Failure {
  const sorted = problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
  const lines = sorted.map(({ line, path: where, message }) => {
    const place = line === undefined ? path : `${path}:${line}`;
    return `${place}: ${where === '' ? '' : `${where}: `}${message}`;
  });
  const count = sorted.length === 1 ? 'one problem' : `${sorted.length} problems`;
  return new Failure('config_invalid', `${count} in the configuration\n${lines.join('\n')}`, {
    facts: { problems: sorted },
  });
}

/** A path from the configuration file at `configPath`, made absolute. */
export function resolveBeside(configPath: string, path: string): string {
  return resolve(dirname(configPath), path);
}

const variablePattern = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

function replaceVariables(document: Document, env: ConfigSource['env'], lines: LineCounter): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  visit(document, {
    Scalar(position, node) {
      if (position === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return;
      const replaced = node.value.replace(
        variablePattern,
        (whole, name: string, fallback: string | undefined) => {
          const value = env[name] ?? fallback;
          if (value !== undefined) return value;
          const line = node.range ? lines.linePos(node.range[0]).line : undefined;
          problems.push({
            line,
            path: '',
            message: `\${${name}} is not set: set it, or write \${${name}:-default}`,
          });
          return whole;
        },
      );
      // Unquoted text may become a number or a boolean, as it would have been if it stood there.
      node.value = node.type === 'PLAIN' ? (parse(replaced) as unknown) : replaced;
    },
  });
  return problems;
}

function applyAssignment(document: Document, assignment: string): ConfigProblem[] {
  const equals = assignment.indexOf('=');
  const path = assignment.slice(0, equals).split('.');
  if (equals < 1 || path.includes(''))
    return [{ line: undefined, path: '--set', message: `"${assignment}" is not path.to.option=value` }];
  try {
    document.setIn(path, document.createNode(parse(assignment.slice(equals + 1))));
    return [];
  } catch (error) {
    return [
      { line: undefined, path: '--set', message: `"${assignment}" cannot be applied: ${messageOf(error)}` },
    ];
  }
}

function findLine(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number | undefined {
  // The nearest part of the path that the file has: a missing option is reported where it should stand.
  for (let length = path.length; length > 0; length--) {
    const parent: unknown =
      length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    const pair = (parent as { items?: { key?: unknown }[] } | null)?.items?.find(
      (item) => isScalar(item.key) && item.key.value === key,
    );
    if (pair && isScalar(pair.key) && pair.key.range) return lines.linePos(pair.key.range[0]).line;
    const item = document.getIn(path.slice(0, length), true) as
      { range?: [number, number, number] } | undefined;
    if (item?.range) return lines.linePos(item.range[0]).line;
  }
  return undefined;
}

/** What a complaint of the schema is traced back to. */
interface Place {
  readonly lineOf: (path: readonly PropertyKey[]) => number | undefined;
  readonly optionsAt: (path: readonly PropertyKey[]) => readonly string[];
}

function describeIssue(issue: z.core.$ZodIssue, place: Place): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    const options = place.optionsAt(issue.path);
    return issue.keys.map((key) => ({
      line: place.lineOf([...issue.path, key]),
      path: [...issue.path, key].map(String).join('.'),
      message: `is not an option here: ${adviseOption(key, options)}`,
    }));
  }
  if (issue.code === 'invalid_key')
    return issue.issues.map(({ message }) => ({ ...placeOf(issue, place), message }));
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const meant = issue.errors.reduce((best, errors) =>
      closeness(errors) > closeness(best) ? errors : best,
    );
    if (closeness(meant) > 0)
      return meant.flatMap((inner) =>
        describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, place),
      );
  }
  return [{ ...placeOf(issue, place), message: explain(issue, place) }];
}

/** Where the schema has nothing to say of its own. */
function explain(issue: z.core.$ZodIssue, { optionsAt }: Place): string {
  if (issue.code !== 'invalid_type' || !issue.message.startsWith('Invalid input')) return issue.message;
  if (issue.expected !== 'object') return `write a ${issue.expected}`;
  const options = optionsAt(issue.path);
  const what = issue.path.length === 0 ? 'the file holds' : 'holds';
  return `${what} options, each on a line of its own: ${options.map((option) => `${option}: …`).join(', ')}`;
}

function adviseOption(key: string, options: readonly string[]): string {
  const nearest = nearestName(key, options);
  if (nearest !== undefined) return `did you mean ${nearest}?`;
  return options.length === 0 ? 'remove it' : `remove it, or write one of ${options.join(', ')}`;
}

function placeOf({ path }: z.core.$ZodIssue, { lineOf }: Place) {
  return { line: lineOf(path), path: path.map(String).join('.') };
}

/** How far an alternative of a union got before it failed: the one that got furthest is the one that was meant. */
function closeness(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(...issues.map(({ code, path }) => 2 * path.length + (code === 'invalid_type' ? 0 : 1)));
}
