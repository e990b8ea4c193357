/**
 * Until when a table has everything that its agents have taken. Pure.
 *
 * An agent's shipments are numbered, so nothing can be missing unnoticed: it is complete up to the oldest message that it has
 * not shipped, and tsdb up to a little before its last round over the inbox, unless a number is missing there or something
 * fails. Times are those of arrival at the agent: a reading that a sensor sends late is late for everybody.
 */
import { parseLaneAppId } from '../delta/lane-app-id.js';
import type { Snapshot } from '../delta/snapshot.js';
import type { AgentReport } from './agent-report.js';

/** What ingest says of itself. */
export interface IngestState {
  /** Undefined before the first round. */
  readonly lastRoundAtMs: number | undefined;
  /** Shipments that wait for their turn. */
  readonly waiting: number;
  readonly gaps: readonly MissingShipments[];
  /** `inbox`, or `database.table`. */
  readonly troubles: readonly { readonly name: string; readonly sinceMs: number }[];
}

export interface MissingShipments {
  readonly agent: string;
  readonly database: string;
  readonly table: string;
  readonly awaitedSeq: number;
  readonly firstWaitingSeq: number;
  readonly sinceMs: number;
}

export interface AgentCompleteness {
  readonly agent: string;
  /** Undefined where it is not known. */
  readonly untilMs: number | undefined;
  /** Absent for an agent that has shipped rows and left no report. */
  readonly report: AgentReport | undefined;
  readonly missing: MissingShipments | undefined;
}

/** What a round may have overlooked that came while it ran. */
const roundMs = 10_000;
/** More than ingest takes in one round: it is behind. */
const backlogShipments = 1_000;

/** One entry per agent that has rows in the table, by name. */
export function agentCompleteness(
  { name, transactions }: Pick<Snapshot, 'name' | 'transactions'>,
  reports: readonly AgentReport[],
  ingest: IngestState | undefined,
): AgentCompleteness[] {
  const agents = new Set([...transactions.keys()].flatMap((appId) => parseLaneAppId(appId)?.agent ?? []));
  const ingestedToMs = ingest && ingestedTo(ingest, `${name.database}.${name.table}`);
  return [...agents].sort().map((agent) => {
    const report = reports.find((one) => one.agent === agent);
    const missing = ingest?.gaps.find(
      (gap) => gap.agent === agent && gap.database === name.database && gap.table === name.table,
    );
    const shippedToMs = report?.shippedToMs;
    const untilMs =
      shippedToMs === undefined || ingestedToMs === undefined
        ? undefined
        : Math.min(shippedToMs, ingestedToMs, ...(missing ? [missing.sinceMs - roundMs] : []));
    return { agent, untilMs, report, missing };
  });
}

function ingestedTo({ lastRoundAtMs, waiting, troubles }: IngestState, table: string): number | undefined {
  if (lastRoundAtMs === undefined || waiting > backlogShipments) return undefined;
  const since = troubles
    .filter(({ name }) => name === 'inbox' || name === table)
    .map(({ sinceMs }) => sinceMs);
  return Math.min(lastRoundAtMs, ...since) - roundMs;
}

/** Of all of them: undefined where one is not known, or there are none. */
export function completeUntilMs(agents: readonly AgentCompleteness[]): number | undefined {
  const times = agents.map(({ untilMs }) => untilMs);
  return times.length === 0 || times.includes(undefined) ? undefined : Math.min(...(times as number[]));
}
