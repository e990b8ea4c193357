/**
 * Which of the waiting shipments of one table are committed next. Pure.
 *
 * 1. A lane's shipments are taken in order of seq, without gaps, from the one after its last committed seq. What the
 *    table has already is only deleted.
 * 2. At a missing seq the lane stops until it comes. Only a seq that is in quarantine is passed over: it will never come.
 * 3. Lanes take turns, one shipment each, until the limits of a commit are reached. The first one goes in any case.
 * 4. The order of the result is the order of writing: later shipments win over earlier ones.
 */
import { firstSeq, type Lane } from '@varve/common/contract/object-keys.js';
import { groupBy } from './group-by.js';
import type { IngestLimits } from './ingest-limits.js';
import { laneAppId } from '../delta/lane-app-id.js';
import type { InboxObject } from './list-inbox.js';

export interface WaitingLane {
  readonly appId: string;
  /** The last seq that is in the table; 0 when none is. */
  readonly committedSeq: number;
  /** In order of seq, at least one. */
  readonly objects: readonly InboxObject[];
}

export interface LaneGap {
  readonly appId: string;
  readonly lane: Lane;
  readonly awaitedSeq: number;
  readonly firstWaitingSeq: number;
}

export interface IngestPlan {
  readonly commit: readonly InboxObject[];
  readonly alreadyCommitted: readonly InboxObject[];
  readonly gaps: readonly LaneGap[];
  /** More could be committed at once, but for the limits. */
  readonly isCut: boolean;
}

type CommitLimits = Pick<IngestLimits, 'commitBytesMax' | 'commitFilesMax'>;
/** Seqs that are in quarantine, by `appId`. */
export type QuarantinedSeqs = ReadonlyMap<string, ReadonlySet<number>>;

/** `objects` are one table's, in order of their keys; `transactions` its snapshot's. */
export function groupByLane(
  objects: readonly InboxObject[],
  transactions: ReadonlyMap<string, number>,
): WaitingLane[] {
  const byAppId = groupBy(objects, ({ parts }) => laneAppId(parts));
  return [...byAppId].map(([appId, laneObjects]) => ({
    appId,
    committedSeq: transactions.get(appId) ?? firstSeq - 1,
    objects: laneObjects,
  }));
}

export function planIngest(
  lanes: readonly WaitingLane[],
  quarantined: QuarantinedSeqs,
  limits: CommitLimits,
): IngestPlan {
  const runs = lanes.map((lane) => planLane(lane, quarantined.get(lane.appId) ?? new Set()));
  const ready = takeTurns(runs.map((run) => run.ready));
  const commit = cutToLimits(ready, limits);
  return {
    commit,
    alreadyCommitted: lanes.flatMap(({ objects, committedSeq }) =>
      objects.filter(({ parts }) => parts.seq <= committedSeq),
    ),
    gaps: runs.flatMap(({ gap }) => gap ?? []),
    isCut: commit.length < ready.length,
  };
}

interface LaneRun {
  readonly ready: readonly InboxObject[];
  readonly gap?: LaneGap;
}

function planLane(lane: WaitingLane, quarantinedSeqs: ReadonlySet<number>): LaneRun {
  const ready: InboxObject[] = [];
  let awaitedSeq = lane.committedSeq + 1;
  for (const object of lane.objects) {
    const { seq } = object.parts;
    if (seq < awaitedSeq) continue;
    while (awaitedSeq < seq && quarantinedSeqs.has(awaitedSeq)) awaitedSeq += 1;
    if (seq > awaitedSeq)
      return { ready, gap: { appId: lane.appId, lane: object.parts, awaitedSeq, firstWaitingSeq: seq } };
    ready.push(object);
    awaitedSeq += 1;
  }
  return { ready };
}

function takeTurns(lanes: readonly (readonly InboxObject[])[]): InboxObject[] {
  const turns = Math.max(0, ...lanes.map((lane) => lane.length));
  return Array.from({ length: turns }, (_, turn) => lanes.flatMap((lane) => lane[turn] ?? [])).flat();
}

function cutToLimits(objects: readonly InboxObject[], limits: CommitLimits): InboxObject[] {
  let bytes = 0;
  const firstTooMany = objects.findIndex((object, index) => {
    bytes += object.bytes;
    return index > 0 && (index >= limits.commitFilesMax || bytes > limits.commitBytesMax);
  });
  return objects.slice(0, firstTooMany < 0 ? undefined : firstTooMany);
}

/** Leaves out `missing` and everything after them in their lanes, which would otherwise be committed over a gap. */
export function stopLanesAt(
  objects: readonly InboxObject[],
  missing: ReadonlySet<InboxObject>,
): readonly InboxObject[] {
  const stopped = new Set<string>();
  return objects.filter((object) => {
    const appId = laneAppId(object.parts);
    if (missing.has(object)) stopped.add(appId);
    return !stopped.has(appId);
  });
}
