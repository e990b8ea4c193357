/**
 * Objects below `inbox/` whose keys are none of an agent's: put aside, so that the inbox holds only what can be taken in.
 */
import { quarantineReasonKey } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import { isStoreKey } from '@varve/common/store/store-key.js';
import type { ObjectInfo } from '@varve/common/store/store.js';
import { mapBounded } from '../delta/bounded.js';
import type { IngestContext } from './ingest-table.js';
import { quarantine } from './quarantine.js';
import { Staging } from './staging.js';

type ForeignContext = Pick<IngestContext, 'store' | 'stagingFolder' | 'limits' | 'clock' | 'log' | 'metrics'>;

/** Returns how many went. */
export async function quarantineForeign(
  context: ForeignContext,
  foreign: readonly ObjectInfo[],
): Promise<number> {
  const movable = foreign.filter(isMovable);
  if (movable.length === 0) return 0;
  const { store, stagingFolder, limits } = context;
  const staging = new Staging(store, stagingFolder, limits.transfersAtOnceMax);
  try {
    await staging.open();
    const moved = await mapBounded(movable, limits.transfersAtOnceMax, (info) =>
      putAside(context, staging, info),
    );
    return moved.filter(Boolean).length;
  } finally {
    await staging.close();
  }
}

/** Consoles of object stores make empty objects named like folders; no store of ours takes such a key. */
function isMovable({ key }: ObjectInfo): boolean {
  return isStoreKey(key) && isStoreKey(quarantineReasonKey(key));
}

async function putAside(
  context: ForeignContext,
  staging: Staging,
  { key, bytes }: ObjectInfo,
): Promise<boolean> {
  const { store, clock, log, metrics } = context;
  const path = await staging.download(key);
  if (path === undefined) return false;
  const failure = new Failure('key_invalid', 'the key is not one that an agent writes');
  await quarantine(store, { key, bytes, path, failure }, clock.nowMs());
  metrics.quarantined.inc();
  log.warn({ key }, 'a foreign object in the inbox is in quarantine');
  return true;
}
