/**
 * A plan that passes over shipments in quarantine. The quarantine is asked only where a plan has a gap, one seq at a
 * time per lane, so that a lane without gaps costs no request and one that waits costs one per round.
 */
import { formatInboxKey, quarantineKey } from '@varve/common/contract/object-keys.js';
import type { Store } from '@varve/common/store/store.js';
import { mapBounded } from '../delta/bounded.js';
import type { IngestLimits } from './ingest-limits.js';
import { planIngest, type IngestPlan, type LaneGap, type WaitingLane } from './plan-ingest.js';

export async function planPastQuarantine(
  store: Store,
  lanes: readonly WaitingLane[],
  limits: IngestLimits,
): Promise<IngestPlan> {
  const quarantined = new Map<string, Set<number>>();
  for (let passedOver = 0; ; passedOver += 1) {
    const plan = planIngest(lanes, quarantined, limits);
    if (plan.gaps.length === 0 || passedOver >= limits.passedOverMax) return plan;
    const isQuarantined = await mapBounded(plan.gaps, limits.transfersAtOnceMax, (gap) =>
      awaitsQuarantined(store, gap),
    );
    if (!isQuarantined.includes(true)) return plan;
    for (const [index, { appId, awaitedSeq }] of plan.gaps.entries())
      if (isQuarantined[index]) quarantined.set(appId, new Set(quarantined.get(appId)).add(awaitedSeq));
  }
}

async function awaitsQuarantined(store: Store, { lane, awaitedSeq }: LaneGap): Promise<boolean> {
  const key = quarantineKey(formatInboxKey({ ...lane, seq: awaitedSeq }));
  return (await store.head(key)) !== undefined;
}
