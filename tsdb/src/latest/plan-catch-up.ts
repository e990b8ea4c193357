/**
 * What commits that others have made mean for the newest rows. Pure.
 *
 * 1. Files that change no data – compaction – change no newest row.
 * 2. Rows added, and files replaced by an ingest – its `txn` is in the commit –, can only bring newer rows, or other values
 *    of the newest: the added files are looked at.
 * 3. Whatever else removes data – a row delete, retention, another program – may have removed the newest row of any series:
 *    all is read anew.
 */
import type { Action, Add } from '../delta/actions.js';

export type CatchUp = { readonly added: readonly Add[] } | 'read anew';

/** `commits` in order. */
export function planCatchUp(commits: readonly (readonly Action[])[]): CatchUp {
  const added: Add[] = [];
  for (const actions of commits) {
    const changes = {
      adds: actions.flatMap(toAdd).filter(({ dataChange }) => dataChange),
      removes: actions.some(removesData),
    };
    if (changes.removes && !isOfIngest(actions)) return 'read anew';
    added.push(...changes.adds);
  }
  return { added };
}

function isOfIngest(actions: readonly Action[]): boolean {
  const isMerge = actions.some(
    (action) => 'commitInfo' in action && action.commitInfo['operation'] === 'MERGE',
  );
  return isMerge && actions.some((action) => 'txn' in action);
}

function toAdd(action: Action): Add[] {
  return 'add' in action ? [action.add] : [];
}

function removesData(action: Action): boolean {
  return 'remove' in action && action.remove.dataChange;
}
