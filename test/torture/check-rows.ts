/**
 * What must hold at the end: every acknowledged message is a row, once, or stands in the loss ledger.
 *
 * A site's messages are those of the agent of that name, so each agent's ledger answers for what its own site misses, and
 * for nothing else. A ledger may count more than is missing: a message that was dropped before its acknowledgement reached
 * the broker comes again, and becomes a row after all. How many is said, since a ledger that overstates could hide a loss.
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
  /** Messages that the loss ledgers own up to, and how many of those are rows all the same. */
  readonly owned: number;
  readonly overstated: number;
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

/** What each agent's loss ledger says is in no table; undefined while nobody can say. */
export async function countOwned(ask: Ask): Promise<ReadonlyMap<string, number> | undefined> {
  const answer = await ask(ownedSql);
  // There is no such table while nothing was lost.
  if (answer?.status === 404) return new Map();
  const rows = answer?.status === 200 ? answer.body.rows : undefined;
  return rows && new Map(rows.map(([agent, count]) => [String(agent), Number(count)]));
}

/** Dropped dead letters have been counted as dead letters before, and a corrected clock loses nothing. */
const ownedSql =
  "select agent, sum(count) from varve_losses where kind in ('evicted', 'dead_letter', 'set_aside') group by agent";

export async function checkRows(ask: Ask, series: readonly Series[]): Promise<Verdict> {
  const owned = (await countOwned(ask)) ?? new Map<string, number>();
  const judged: SeriesVerdict[] = [];
  for (const one of series) judged.push(judgeSeries(one, await findRows(ask, one)));
  const sum = (read: (verdict: SeriesVerdict) => number) =>
    judged.reduce((total, verdict) => total + read(verdict), 0);
  const unexplained = [...new Set(series.map(({ site }) => site))].map((site) => {
    const ofSite = judged.filter((verdict) => verdict.site === site);
    return ofSite.reduce((total, { missing }) => total + missing.length, 0) - (owned.get(site) ?? 0);
  });
  return {
    acknowledged: sum(({ acknowledged }) => acknowledged),
    rows: sum(({ rows }) => rows),
    lost: unexplained.reduce((total, count) => total + Math.max(0, count), 0),
    duplicated: sum(({ duplicated }) => duplicated),
    invented: sum(({ invented }) => invented),
    owned: [...owned.values()].reduce((total, count) => total + count, 0),
    overstated: unexplained.reduce((total, count) => total + Math.max(0, -count), 0),
    details: judged.flatMap((verdict) => describeSeries(verdict)),
  };
}

async function findRows(ask: Ask, { site, device }: Series): Promise<Found> {
  const answer = await ask(`select n from torture where site = '${site}' and device = '${device}'`);
  const rows = (answer?.body.rows ?? []).map(([n]) => Number(n));
  return { rows: rows.length, ns: new Set(rows) };
}

interface SeriesVerdict {
  readonly site: string;
  readonly device: string;
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
    site,
    device,
    acknowledged: acknowledged.size,
    rows,
    missing: [...acknowledged].filter((n) => !ns.has(n)).sort((a, b) => a - b),
    duplicated: rows - ns.size,
    invented: [...ns].filter((n) => !Number.isInteger(n) || n < 0 || n >= published).length,
  };
}

function describeSeries({ site, device, missing, duplicated, invented }: SeriesVerdict): string[] {
  const name = `${site}/${device}`;
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
