/**
 * Whether data files are in the store, by listing their folders: a request for a thousand files rather than for each.
 */
import { tableRoot, type TableName } from '@varve/common/contract/object-keys.js';
import type { Store } from '@varve/common/store/store.js';
import type { DataFile } from './snapshot.js';

/** Those of `files` that are not there. */
export async function findMissingFiles(
  store: Store,
  name: TableName,
  files: readonly DataFile[],
): Promise<DataFile[]> {
  const missing = new Map(files.map((file) => [file.key, file]));
  const folders = new Set(files.map(({ key }) => key.slice(0, key.lastIndexOf('/') + 1)));
  // The table's root itself is listed only for files that lie there.
  for (const folder of folders)
    if (folder !== tableRoot(name) || folders.size === 1)
      for await (const { key } of store.list(folder)) missing.delete(key);
  if (folders.size > 1 && folders.has(tableRoot(name)))
    for (const key of [...missing.keys()]) if (await store.head(key)) missing.delete(key);
  return [...missing.values()];
}
