/**
 * Whether a hole in a series is the network's, the agent's or the sensor's doing. Pure. The first that applies:
 *
 * | cause     | because                                                                                        |
 * |-----------|------------------------------------------------------------------------------------------------|
 * | `unknown` | no agent is known to ship this table                                                           |
 * | `network` | shipments are missing in between; the agent has not been heard of; its data is still on its way |
 * | `agent`   | it has lost messages (table `varve_losses`), was started, or has no connection to its broker   |
 * | `sensor`  | its agents are well and everything they have taken is here: nothing was sent                   |
 *
 * Rows do not say which agent they came through: where several ship a table, each of them may be the cause.
 */
import type { AgentCompleteness } from './complete-until.js';

export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

/** From the loss ledger: messages of this time are gone. */
export interface AgentLoss extends Gap {
  readonly agent: string;
  readonly kind: string;
}

export type GapCause = 'network' | 'agent' | 'sensor' | 'unknown';

export interface GapVerdict {
  readonly cause: GapCause;
  readonly reason: string;
}

/** Agents report every minute or so (`edge-agent/src/status/status-publisher.ts`). */
export const heardWithinMs = 5 * 60_000;

/**
 * Where a hole ends that is still open. As far as the table is complete: what is newer may be on its way. Now, where it has not
 * been complete for long, or nobody knows: that is a hole.
 */
export function openGapEndMs(completeUntilMs: number | undefined, nowMs: number): number {
  return completeUntilMs !== undefined && nowMs - completeUntilMs <= heardWithinMs
    ? Math.min(completeUntilMs, nowMs)
    : nowMs;
}

export function judgeGap(
  gap: Gap,
  agents: readonly AgentCompleteness[],
  losses: readonly AgentLoss[],
  nowMs: number,
): GapVerdict {
  if (agents.length === 0) return { cause: 'unknown', reason: 'no agent is known to ship this table' };
  const verdicts = [onItsWay, lostByAgent].flatMap((judge) =>
    agents.flatMap((agent) => judge(gap, agent, losses, nowMs) ?? []),
  );
  return (
    verdicts[0] ?? {
      cause: 'sensor',
      reason: 'its agents are well and complete: the sensor has sent nothing',
    }
  );
}

type Judge = (
  gap: Gap,
  agent: AgentCompleteness,
  losses: readonly AgentLoss[],
  nowMs: number,
) => GapVerdict | undefined;

const onItsWay: Judge = ({ fromMs, toMs }, { agent, report, missing, untilMs }, _losses, nowMs) => {
  const network = (reason: string): GapVerdict => ({ cause: 'network', reason: `agent ${agent} ${reason}` });
  if (missing && missing.sinceMs >= fromMs)
    return network(`has shipped up to ${missing.firstWaitingSeq}, but not ${missing.awaitedSeq}`);
  if (!report) return network('has left no report in the store');
  if (nowMs - report.heardMs > heardWithinMs && toMs > report.heardMs)
    return network(`has not been heard of since ${timeText(report.heardMs)}`);
  if (untilMs === undefined)
    return network('does not say how far it has shipped, or much is waiting in the inbox');
  // A gap of little time is over by then, or another agent's (`openGapEndMs`).
  return untilMs < toMs && nowMs - untilMs > heardWithinMs
    ? network(`is complete until ${timeText(untilMs)} only`)
    : undefined;
};

const lostByAgent: Judge = ({ fromMs, toMs }, { agent, report }, losses) => {
  const atAgent = (reason: string): GapVerdict => ({ cause: 'agent', reason: `agent ${agent} ${reason}` });
  const loss = losses.find((one) => one.agent === agent && one.fromMs < toMs && one.toMs >= fromMs);
  if (loss) return atAgent(`has lost messages of that time: ${loss.kind}`);
  const broken = report?.disconnected.find(({ sinceMs }) => sinceMs < toMs);
  if (broken) return atAgent(`has had no connection to ${broken.source} since ${timeText(broken.sinceMs)}`);
  const startedMs = report?.startedMs;
  return startedMs !== undefined && startedMs > fromMs && startedMs <= toMs
    ? atAgent(`was started at ${timeText(startedMs)}, and was down before`)
    : undefined;
};

function timeText(ms: number): string {
  return new Date(Math.round(ms)).toISOString();
}
