/**
 * Expected against actual: both as text, a row as a list of columns, and the difference of the texts as a diff.
 *
 * Rows have no order in a table: each expected row is paired with an actual one first – with one that is equal, or else with the one
 * that shares most columns –, so that the diff shows what differs, and not what moved.
 */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { parseTimeUs } from '../decode/time.js';
import type { ActualRow, Outcome, Tables, Value } from './outcome.js';
import type { ConfigTest, ExpectedRefusal, ExpectedRow } from './test-file.js';

/** Undefined where the outcome is what the test expects; else the differences, for people. */
export function compareOutcome(test: ConfigTest, outcome: Outcome): string | undefined {
  const { tolerance } = test;
  const ignoresOthers = test.other_columns === 'ignore';
  const texts = [
    ...compareTables(test.rows, outcome.rows, { tolerance, ignoresOthers }),
    // Nobody writes all twelve columns of every field: only what is written is looked at.
    ...compareTables(test.windows, outcome.windows, { tolerance, ignoresOthers: true }),
    ...compareRefusals(test.refused, outcome.refusals),
  ];
  const expected = texts.map((text) => text.expected).join('');
  const actual = texts.map((text) => text.actual).join('');
  if (expected === actual) return undefined;
  return createTwoFilesPatch('expected', 'actual', expected, actual, '', '', {
    context: 5,
    headerOptions: FILE_HEADERS_ONLY,
  });
}

interface Texts {
  readonly expected: string;
  readonly actual: string;
}

interface Rules {
  readonly tolerance: number;
  readonly ignoresOthers: boolean;
}

function compareTables(expected: ConfigTest['rows'], actual: Tables, rules: Rules): Texts[] {
  if (!expected) return [];
  const names = [...new Set([...Object.keys(expected), ...actual.keys()])].sort();
  return names.map((name) => compareRows(name, expected[name] ?? [], actual.get(name) ?? [], rules));
}

function compareRows(
  table: string,
  expected: readonly ExpectedRow[],
  actual: readonly ActualRow[],
  rules: Rules,
): Texts {
  const pairs = pairRows(expected, actual, rules);
  const head = (rows: readonly unknown[]) => (rows.length > 0 ? `${table}:\n` : '');
  return {
    expected: head(expected) + pairs.map(([wanted]) => (wanted ? describeExpected(wanted) : '')).join(''),
    actual: head(actual) + pairs.map(([wanted, found]) => describeActual(wanted, found, rules)).join(''),
  };
}

type Pair = readonly [wanted: ExpectedRow | undefined, found: ActualRow | undefined];

function pairRows(expected: readonly ExpectedRow[], actual: readonly ActualRow[], rules: Rules): Pair[] {
  const left = new Set(actual);
  const take = (found: ActualRow | undefined): ActualRow | undefined => {
    if (found) left.delete(found);
    return found;
  };
  const equal = expected.map((wanted) => take([...left].find((found) => isEqual(wanted, found, rules))));
  const pairs = expected.map((wanted, index): Pair => [
    wanted,
    equal[index] ?? take(nearestRow(wanted, left)),
  ]);
  return [...pairs, ...[...left].map((found): Pair => [undefined, found])];
}

/** The one that shares most columns; undefined where none shares any. */
function nearestRow(wanted: ExpectedRow, rows: Iterable<ActualRow>): ActualRow | undefined {
  let nearest: ActualRow | undefined;
  let sharedMost = 0;
  for (const found of rows) {
    const shared = Object.entries(wanted).filter(([column, value]) =>
      isSame(column, value, found.get(column), 0),
    ).length;
    if (shared > sharedMost) [nearest, sharedMost] = [found, shared];
  }
  return nearest;
}

function isEqual(wanted: ExpectedRow, found: ActualRow, { tolerance, ignoresOthers }: Rules): boolean {
  if (!ignoresOthers && [...found.keys()].some((column) => !(column in wanted))) return false;
  return Object.entries(wanted).every(([column, value]) =>
    isSame(column, value, found.get(column), tolerance),
  );
}

function isSame(
  column: string,
  wanted: ExpectedRow[string] | undefined,
  found: Value | undefined,
  tolerance: number,
): boolean {
  if (wanted === null || wanted === undefined) return found === undefined;
  if (column === 'time') return parseTimeUs(wanted, 'rfc3339') === found;
  if (typeof wanted === 'number' && typeof found === 'number')
    return wanted === found || Math.abs(wanted - found) <= tolerance;
  // Longs that no number of YAML holds are written as texts.
  return typeof found === 'bigint' ? String(wanted) === String(found) : wanted === found;
}

function describeExpected(wanted: ExpectedRow): string {
  return describeRow(Object.entries(wanted).filter(([, value]) => value !== null));
}

/** What is as good as expected stands as it was written, and in that order. */
function describeActual(wanted: ExpectedRow | undefined, found: ActualRow | undefined, rules: Rules): string {
  if (!found) return '';
  const names = Object.keys(wanted ?? {});
  const others = [...found.keys()].filter((column) => !names.includes(column));
  const shown = [...names, ...(rules.ignoresOthers && wanted ? [] : others)];
  return describeRow(
    shown.flatMap((column): [string, unknown][] => {
      const value = found.get(column);
      if (isSame(column, wanted?.[column], value, rules.tolerance))
        return value === undefined ? [] : [[column, wanted?.[column]]];
      if (value === undefined) return [];
      return [[column, column === 'time' ? formatTimeUs(Number(value)) : value]];
    }),
  );
}

function describeRow(columns: readonly (readonly [string, unknown])[]): string {
  return columns
    .map(([column, value], index) => `${index === 0 ? '  - ' : '    '}${column}: ${formatValue(value)}\n`)
    .join('');
}

function formatValue(value: unknown): string {
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}

export function formatTimeUs(us: number): string {
  const ms = Math.floor(us / 1_000);
  const rest = us - ms * 1_000;
  const text = new Date(ms).toISOString();
  return rest === 0 ? text : text.replace('Z', `${String(rest).padStart(3, '0')}Z`);
}

function compareRefusals(expected: readonly ExpectedRefusal[], actual: Outcome['refusals']): Texts[] {
  const left = new Set(actual);
  const met = expected.map((wanted) => {
    const found = [...left].find((refusal) => isMet(wanted, refusal));
    if (found) left.delete(found);
    return { wanted, found };
  });
  const wantedText = (wanted: ExpectedRefusal) => describeRow(Object.entries(wanted));
  const head = (count: number) => (count > 0 ? 'refused:\n' : '');
  return [
    {
      expected: head(expected.length) + expected.map(wantedText).join(''),
      actual:
        head(actual.length) +
        met.map(({ wanted, found }) => (found ? wantedText(wanted) : '')).join('') +
        [...left].map((refusal) => describeRow(Object.entries(pick(refusal)))).join(''),
    },
  ];
}

function isMet(wanted: ExpectedRefusal, found: Outcome['refusals'][number]): boolean {
  const { topic, stream, code, reason } = wanted;
  return (
    (topic === undefined || topic === found.topic) &&
    (stream === undefined || stream === found.stream) &&
    (code === undefined || code === found.code) &&
    (reason === undefined || found.reason.includes(reason))
  );
}

function pick({ topic, stream, code, reason }: Outcome['refusals'][number]): Record<string, unknown> {
  return { topic, stream, code, reason };
}
