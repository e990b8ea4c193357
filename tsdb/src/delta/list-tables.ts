/**
 * Finds the tables of a store without listing their files.
 *
 * 1. List below `tables/` until the first key; the folder it lies in is a table, or nothing of ours.
 * 2. List again from behind that folder. In UTF-8 order the character after `/` is `0`, so that everything below
 *    `tables/main/a/` lies before `tables/main/a0`, and no other table's folder does.
 *
 * One list request per table, however many files it has.
 */
import { parseTableName, tablesPrefix, type TableName } from '@varve/common/contract/object-keys.js';
import type { Store } from '@varve/common/store/store.js';

export async function listTables(store: Store): Promise<TableName[]> {
  const names: TableName[] = [];
  let startAfter: string | undefined;
  for (;;) {
    const key = await firstKeyAfter(store, startAfter);
    if (key === undefined) return names;
    const name = parseTableName(key);
    if (name) names.push(name);
    startAfter = behindFolder(key);
  }
}

async function firstKeyAfter(store: Store, startAfter: string | undefined): Promise<string | undefined> {
  for await (const { key } of store.list(tablesPrefix, startAfter === undefined ? {} : { startAfter }))
    return key;
  return undefined;
}

/** `tables/a/b/…` gives a text after all of `tables/a/b/`; a key that is not so deep stands for itself. */
function behindFolder(key: string): string {
  const folder = /^tables\/[^/]*\/[^/]*(?=\/)/.exec(key)?.[0];
  return folder === undefined ? key : `${folder}0`;
}
