/**
 * What waits in the inbox, so much of it as one round looks at.
 *
 * 1. Keys come in byte order, so that a lane's shipments follow each other in order of seq.
 * 2. Of each folder (a lane's way into one table) only the first keys are taken, then the listing jumps behind it: a lane
 *    that is stuck with thousands of shipments costs two requests and hides nobody.
 * 3. When enough keys are taken, the listing ends between two folders, and the next one goes on from there. Folders are
 *    always seen from their beginning; otherwise a lane would seem to have a gap.
 */
import { inboxPrefix, parseInboxKey, type InboxKey } from '@varve/common/contract/object-keys.js';
import type { ObjectInfo, Store } from '@varve/common/store/store.js';
import type { IngestLimits } from './ingest-limits.js';

/** A shipment that waits, by what its key says. */
export interface InboxObject {
  readonly key: string;
  readonly parts: InboxKey;
  readonly bytes: number;
}

export interface InboxListing {
  /** In order of their keys. */
  readonly objects: readonly InboxObject[];
  /** Objects below `inbox/` whose keys are none of ours. */
  readonly foreign: readonly ObjectInfo[];
  /** Where the next listing begins; undefined when this one came to the end. */
  readonly resumeAfter: string | undefined;
}

type ListingLimits = Pick<IngestLimits, 'listedKeysMax' | 'listedKeysPerLaneMax'>;

export async function listInbox(
  store: Store,
  limits: ListingLimits,
  startAfter: string | undefined,
): Promise<InboxListing> {
  const infos: ObjectInfo[] = [];
  let position = startAfter;
  while (infos.length < limits.listedKeysMax) {
    const listedKeysMax = limits.listedKeysMax - infos.length;
    const run = await listRun(store, { ...limits, listedKeysMax }, position);
    infos.push(...run.infos);
    position = run.resumeAfter;
    if (position === undefined) break;
  }
  return { ...sortOut(infos), resumeAfter: position };
}

interface Run {
  readonly infos: readonly ObjectInfo[];
  readonly resumeAfter: string | undefined;
}

/** Lists until a folder has too many keys, or there are enough keys in all, or none are left. */
async function listRun(store: Store, limits: ListingLimits, startAfter: string | undefined): Promise<Run> {
  const infos: ObjectInfo[] = [];
  let folder = '';
  let keysInFolder = 0;
  for await (const info of store.list(inboxPrefix, startAfter === undefined ? {} : { startAfter })) {
    const isNewFolder = folderOf(info.key) !== folder;
    if (isNewFolder && infos.length >= limits.listedKeysMax) return { infos, resumeAfter: behind(folder) };
    if (!isNewFolder && keysInFolder >= limits.listedKeysPerLaneMax)
      return { infos, resumeAfter: behind(folder) };
    keysInFolder = isNewFolder ? 1 : keysInFolder + 1;
    folder = folderOf(info.key);
    infos.push(info);
  }
  return { infos, resumeAfter: undefined };
}

function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'));
}

/** `0` comes right after `/`: a text behind everything in the folder, and before every other folder. */
function behind(folder: string): string {
  return `${folder}0`;
}

function sortOut(infos: readonly ObjectInfo[]): Pick<InboxListing, 'objects' | 'foreign'> {
  const objects: InboxObject[] = [];
  const foreign: ObjectInfo[] = [];
  for (const info of infos) {
    const parts = parseInboxKey(info.key);
    if (parts) objects.push({ key: info.key, parts, bytes: info.bytes });
    else foreign.push(info);
  }
  return { objects, foreign };
}
