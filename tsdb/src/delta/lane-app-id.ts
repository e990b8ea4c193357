/**
 * How far a lane has been committed stands in the table's log as a Delta transaction: `txn.appId` names the lane,
 * `txn.version` is its last committed seq (DESIGN I5). Nothing else formats or parses these names.
 */
import type { Lane } from '@varve/common/contract/object-keys.js';

/** The lane without database and table: the log that the transaction stands in is the table's own. */
export type LaneName = Pick<Lane, 'agent' | 'epoch' | 'lane'>;

export function laneAppId({ agent, epoch, lane }: LaneName): string {
  return `edge/${agent}/${epoch}/${lane}`;
}

/** Undefined for transactions of other writers. */
export function parseLaneAppId(appId: string): LaneName | undefined {
  const [, agent, epoch, lane] = /^edge\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(appId) ?? [];
  return agent !== undefined && epoch !== undefined && lane !== undefined
    ? { agent, epoch, lane }
    : undefined;
}
