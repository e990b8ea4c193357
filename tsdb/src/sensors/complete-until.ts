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

/** By agent. */
export type AgentReports = ReadonlyMap<string, AgentReport>;

/** One entry per agent that has rows in the table, by name. */
export function agentCompleteness(
  { name, transactions }: Pick<Snapshot, 'name' | 'transactions'>,
  reports: AgentReports,
  ingest: IngestState | undefined,
): AgentCompleteness[] {
  const ingestedToMs = ingest && ingestedTo(ingest, name);
  const gaps = ingest ? gapsOf(ingest, name) : [];
  return [...agentsIn(transactions)].sort().map((agent) => {
    const report = reports.get(agent);
    const missing = gaps.find((gap) => gap.agent === agent);
    const shippedToMs = report?.shippedToMs;
    const untilMs =
      shippedToMs === undefined || ingestedToMs === undefined
        ? undefined
        : Math.min(shippedToMs, ingestedToMs, ...(missing ? [missing.sinceMs - roundMs] : []));
    return { agent, untilMs, report, missing };
  });
}

/** What of a table's completeness stays as long as its version and the reports do: a table may have thousands of agents. */
export interface ShippedTo {
  readonly agents: ReadonlySet<string>;
  /** Of all of them together: undefined where one is not known, or there are none. */
  readonly untilMs: number | undefined;
}

export function shippedTo(
  { transactions }: Pick<Snapshot, 'transactions'>,
  reports: AgentReports,
): ShippedTo {
  const agents = agentsIn(transactions);
  let untilMs: number | undefined = agents.size > 0 ? Number.POSITIVE_INFINITY : undefined;
  for (const agent of agents) {
    const agentMs = reports.get(agent)?.shippedToMs;
    if (untilMs !== undefined) untilMs = agentMs === undefined ? undefined : Math.min(untilMs, agentMs);
  }
  return { agents, untilMs };
}

/** What `completeUntilMs` says of `agentCompleteness`. */
export function tableCompleteUntilMs(
  { agents, untilMs }: ShippedTo,
  name: Snapshot['name'],
  ingest: IngestState | undefined,
): number | undefined {
  const ingestedToMs = ingest && ingestedTo(ingest, name);
  if (untilMs === undefined || ingest === undefined || ingestedToMs === undefined) return undefined;
  const missing = gapsOf(ingest, name).filter(({ agent }) => agents.has(agent));
  return Math.min(untilMs, ingestedToMs, ...missing.map(({ sinceMs }) => sinceMs - roundMs));
}

function agentsIn(transactions: Snapshot['transactions']): Set<string> {
  const agents = new Set<string>();
  for (const appId of transactions.keys()) {
    const agent = parseLaneAppId(appId)?.agent;
    if (agent !== undefined) agents.add(agent);
  }
  return agents;
}

function gapsOf({ gaps }: IngestState, { database, table }: Snapshot['name']): MissingShipments[] {
  return gaps.filter((gap) => gap.database === database && gap.table === table);
}

function ingestedTo(
  { lastRoundAtMs, waiting, troubles }: IngestState,
  { database, table }: Snapshot['name'],
): number | undefined {
  if (lastRoundAtMs === undefined || waiting > backlogShipments) return undefined;
  const since = troubles
    .filter(({ name }) => name === 'inbox' || name === `${database}.${table}`)
    .map(({ sinceMs }) => sinceMs);
  return Math.min(lastRoundAtMs, ...since) - roundMs;
}

/** Of all of them: undefined where one is not known, or there are none. */
export function completeUntilMs(agents: readonly AgentCompleteness[]): number | undefined {
  const times = agents.map(({ untilMs }) => untilMs);
  return times.length === 0 || times.includes(undefined) ? undefined : Math.min(...(times as number[]));
}
