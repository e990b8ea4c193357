/**
 * Versions that are kept for good: an object each, outside the table (DESIGN §5.4). A pinned version has a checkpoint of its
 * own, so that neither the commits before it nor those after are needed to read it.
 */
import { parsePinVersion, pinKey, pinsPrefix, type TableName } from '@varve/common/contract/object-keys.js';
import type { Store } from '@varve/common/store/store.js';

export async function listPins(store: Store, name: TableName): Promise<Set<number>> {
  const versions = new Set<number>();
  for await (const { key } of store.list(pinsPrefix(name))) {
    const version = parsePinVersion(key);
    if (version !== undefined) versions.add(version);
  }
  return versions;
}

/** The checkpoint of `version` must be there before. */
export async function putPin(store: Store, name: TableName, version: number, nowMs: number): Promise<void> {
  const text = JSON.stringify({ version, pinned_at: new Date(nowMs).toISOString() });
  await store.putIfAbsent(pinKey(name, version), Buffer.from(text));
}

export async function deletePin(store: Store, name: TableName, version: number): Promise<void> {
  await store.delete([pinKey(name, version)]);
}
