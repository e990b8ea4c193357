/** What `lake-queries` says of its samples. A time that missed its budget is never rounded to one that met it. */
import { verdict, type Cell, type Report } from '../report.js';
import { median, percentile } from '../statistics.js';
import type { AnswerCheck } from './contestant.js';
import type { Cost, StoreReads } from './ours.js';
import type { Question } from './questions.js';

/** Milliseconds. */
export type Times = readonly number[];

export interface Found {
  readonly question: Question;
  readonly times: Map<string, Times>;
  /** Of processors, per answer; counted in steps of 10 ms over all of them together. */
  readonly cpuMs: ReadonlyMap<string, number>;
  /** Who could not answer, and why. */
  readonly failures: ReadonlyMap<string, string>;
  /** Who answered something else than DuckDB alone. */
  readonly differing: readonly string[];
  readonly truth: AnswerCheck | undefined;
  readonly checks: ReadonlyMap<string, AnswerCheck>;
  readonly cost: Cost | undefined;
  /** Of ours, warm, for all the times that it was asked. */
  readonly storeReads: StoreReads;
  readonly asked: number;
  /** Of ours, cold over S3, a run each. */
  readonly faraway: Faraway[];
}

export interface Faraway {
  readonly ms: number;
  readonly isRight: boolean;
  /** From its start until it was asked. */
  readonly started: StoreReads;
  /** For the answer. */
  readonly reads: StoreReads;
}

export interface Run {
  readonly days: number;
  readonly scale: number;
  readonly asks: number;
}

const [oursName, arrowName, coldName, duckDbName] = [
  'ours, warm',
  'ours, as Arrow',
  'ours, cold',
  'DuckDB alone',
];
const ownColumns = [oursName, arrowName, coldName, duckDbName];

export function reportOf(found: readonly Found[], { days, scale, asks }: Run): Report {
  const names = [...new Set(found.flatMap(({ times }) => [...times.keys()]))];
  const ordered = [...ownColumns, ...names.filter((name) => !ownColumns.includes(name))];
  const tableOf = (percent: number) => ({
    title: `p${percent} in ms: ${days} days, scale ${scale}, ${asks} times each in turns`,
    columns: ['question', ...ordered],
    rows: found.map((one): Cell[] => [
      one.question.name,
      ...ordered.map((name) => cellOf(one, name, percent)),
    ]),
  });
  return {
    bench: 'lake-queries',
    tables: [tableOf(50), tableOf(99), cpuTable(found), costTable(found), ...farawayTables(found)],
    findings: [
      ...found.flatMap(findingsOf),
      ...summary(found, 'what is asked in SQL as Arrow', (one) =>
        typeof one.question.ours === 'object' ? oursName : arrowName,
      ),
      ...summary(found, 'all as JSON', () => oursName),
    ],
  };
}

function cellOf({ times, failures, differing }: Found, name: string, percent: number): Cell {
  if (failures.has(name)) return 'failed';
  if (differing.includes(name)) return 'differs';
  const own = times.get(name);
  return own === undefined ? '–' : percentile(own, percent);
}

/** Other work on the machine, which makes times longer, leaves this nearly as it is. */
function cpuTable(found: readonly Found[]) {
  const names = [...new Set(found.flatMap(({ cpuMs }) => [...cpuMs.keys()]))];
  return {
    title: 'Processor time per answer, ms',
    columns: ['question', ...names],
    rows: found.map(({ question, cpuMs, failures }): Cell[] => [
      question.name,
      ...names.map((name) => (failures.has(name) ? '–' : (cpuMs.get(name) ?? '–'))),
    ]),
  };
}

function costTable(found: readonly Found[]) {
  return {
    title: 'Ours, by its own account, the last time; of the store, per question, warm',
    columns: [
      'question',
      'files',
      'kB in them',
      'kB answered',
      'plan, ms',
      'first row, ms',
      'store requests',
      'kB from the store',
    ],
    rows: found.map(({ question, cost, storeReads: { gets, heads, bytes }, asked }): Cell[] => [
      question.name,
      String(cost?.files ?? '–'),
      cost?.bytes === undefined ? '–' : cost.bytes / 1e3,
      (cost?.bodyBytes ?? 0) / 1e3,
      cost?.planMs ?? '–',
      cost?.firstMs ?? '–',
      (gets + heads) / asked,
      bytes / asked / 1e3,
    ]),
  };
}

function farawayTables(found: readonly Found[]) {
  if (found.every(({ faraway }) => faraway.length === 0)) return [];
  const reads = ['GET', 'HEAD', 'LIST', 'kB'];
  return [
    {
      title:
        'Ours, cold over S3: medians; store calls and bytes for the question, and before it, from the start until ready',
      columns: ['question', 'ms', ...reads, ...reads.map((name) => `start: ${name}`)],
      rows: found.map(({ question, faraway }): Cell[] => {
        const cells = (of: (one: Faraway) => StoreReads): Cell[] => [
          ...(['gets', 'heads', 'lists'] as const).map((kind) => median(faraway.map((one) => of(one)[kind]))),
          median(faraway.map((one) => of(one).bytes)) / 1e3,
        ];
        const ms = faraway.every(({ isRight }) => isRight) ? median(faraway.map((one) => one.ms)) : 'differs';
        return [question.name, ms, ...cells(({ reads }) => reads), ...cells(({ started }) => started)];
      }),
    },
  ];
}

function findingsOf(one: Found): string[] {
  const { question, times, failures, differing, truth, checks } = one;
  const said = [...failures].map(([name, reason]) => `${question.name}: ${name} failed: ${reason}`);
  for (const name of differing)
    said.push(
      `${question.name}: ${name} answers something else: ${JSON.stringify(checks.get(name))}, DuckDB alone ${JSON.stringify(truth)}`,
    );
  const ours = times.get(oursName);
  if (question.budgetMs !== undefined && ours)
    said.push(
      `${question.name}: ${inMs(percentile(ours, 50))} ms, target ≤ ${question.budgetMs}: ${verdict(percentile(ours, 50) <= question.budgetMs)}`,
    );
  return said;
}

/** @param named which of our times counts */
function summary(found: readonly Found[], form: string, named: (one: Found) => string): string[] {
  const judged = found.flatMap((one) => {
    const { question, times, differing } = one;
    const [ours, alone] = [times.get(named(one)), times.get(duckDbName)];
    if (!ours || !alone || differing.includes(named(one))) return [];
    const [took, bound] = [percentile(ours, 50), 1.2 * percentile(alone, 50) + 2];
    return [{ name: question.name, took, bound }];
  });
  const missed = judged.filter(({ took, bound }) => took > bound);
  const isMet = missed.length === 0 && judged.length === found.length;
  return [
    `≤ 1.2 × DuckDB alone + 2 ms, p50, ${form}: ${judged.length - missed.length} of ${found.length} questions: ${verdict(isMet)}`,
    ...missed.map(
      ({ name, took, bound }) =>
        `over that, ${form}: ${name}, ${inMs(took)} ms where ${inMs(bound)} are allowed`,
    ),
  ];
}

/** Rounded up. */
const inMs = (ms: number) => (Math.ceil(ms * 100) / 100).toFixed(2);
