/**
 * What must hold at the end: every acknowledged message is a row, once, or stands in the loss ledger.
 */
import type { QueryAnswer } from '../installation.js';
import type { Series } from './publishers.js';

export interface Verdict {
  readonly acknowledged: number;
  readonly rows: number;
  /** Acknowledged, not in the table, and not in the loss ledger. */
  readonly lost: number;
  /** Rows above one per message. */
  readonly duplicated: number;
  /** Rows of messages that nobody published. */
  readonly invented: number;
  /** Messages that the loss ledger owns up to. */
  readonly owned: number;
  /** For people: which messages of which series. */
  readonly details: readonly string[];
}

export type Ask = (sql: string) => Promise<QueryAnswer | undefined>;

/** Of each series. */
interface Found {
  readonly rows: number;
  readonly ns: ReadonlySet<number>;
}

const missingListedMax = 20;

/** The rows of each series; the cheap question first. */
export async function countRows(ask: Ask): Promise<number> {
  const answer = await ask('select count(*) from torture');
  return Number(answer?.body.rows?.[0]?.[0] ?? 0);
}

export async function checkRows(ask: Ask, series: readonly Series[]): Promise<Verdict> {
  const owned = await countOwned(ask);
  const judged: SeriesVerdict[] = [];
  for (const one of series) judged.push(judgeSeries(one, await findRows(ask, one)));
  const sum = (read: (verdict: SeriesVerdict) => number) =>
    judged.reduce((total, verdict) => total + read(verdict), 0);
  return {
    acknowledged: sum(({ acknowledged }) => acknowledged),
    rows: sum(({ rows }) => rows),
    lost: Math.max(0, sum(({ missing }) => missing.length) - owned),
    duplicated: sum(({ duplicated }) => duplicated),
    invented: sum(({ invented }) => invented),
    owned,
    details: judged.flatMap((verdict) => describeSeries(verdict)),
  };
}

async function findRows(ask: Ask, { site, device }: Series): Promise<Found> {
  const answer = await ask(`select n from torture where site = '${site}' and device = '${device}'`);
  const rows = (answer?.body.rows ?? []).map(([n]) => Number(n));
  return { rows: rows.length, ns: new Set(rows) };
}

/**
 * The table is not there while nothing was lost. Of damage it is an upper bound: where a new epoch had to begin, the ledger
 * counts what may be in the store already, and says so in its reason.
 */
async function countOwned(ask: Ask): Promise<number> {
  const answer = await ask(
    "select sum(count) from varve_losses where kind in ('evicted', 'dead_letter', 'set_aside')",
  );
  return answer?.status === 200 ? Number(answer.body.rows?.[0]?.[0] ?? 0) : 0;
}

interface SeriesVerdict {
  readonly name: string;
  readonly acknowledged: number;
  readonly rows: number;
  readonly missing: readonly number[];
  readonly duplicated: number;
  readonly invented: number;
}

export function judgeSeries(
  { site, device, published, acknowledged }: Series,
  { rows, ns }: Found,
): SeriesVerdict {
  return {
    name: `${site}/${device}`,
    acknowledged: acknowledged.size,
    rows,
    missing: [...acknowledged].filter((n) => !ns.has(n)).sort((a, b) => a - b),
    duplicated: rows - ns.size,
    invented: [...ns].filter((n) => !Number.isInteger(n) || n < 0 || n >= published).length,
  };
}

function describeSeries({ name, missing, duplicated, invented }: SeriesVerdict): string[] {
  const more = missing.length > missingListedMax ? ' …' : '';
  return [
    ...(missing.length > 0
      ? [`${name} misses ${missing.length}: n ${missing.slice(0, missingListedMax).join(' ')}${more}`]
      : []),
    ...(duplicated > 0 ? [`${name} has ${duplicated} rows too many`] : []),
    ...(invented > 0 ? [`${name} has ${invented} rows that nobody published`] : []),
  ];
}

export function isSound({ lost, duplicated, invented }: Verdict): boolean {
  return lost === 0 && duplicated === 0 && invented === 0;
}
