/**
 * What requests about one table have in common: the table by its name, in the path or as `table=`, and its tags as
 * parameters: `device=dev-1,dev-2`, or `device=dev-1&device=dev-2`. A comma in a value is written `\,`. Where a tag is called
 * like one of the other parameters, `tag.columns=` means the tag.
 */
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import type { Snapshot, TableCatalog } from '../delta/snapshot.js';
import { findLabelled, tableNotFound } from '../query/find-table.js';
import type { QueryRequest } from '../query/query-engine.js';
import { badParam } from './check-params.js';
import { asOfIn } from './query-request.js';

/** Tag values by tag: a row passes where each tag has one of its values. */
export type TagValues = ReadonlyMap<string, readonly string[]>;

/** Of all tags together. */
export const tagValuesMax = 1_000;
const prefix = 'tag.';

/** @param label `environment`, or `lab.runs` @throws Failure `table_not_found` */
export function requireTable<S extends Snapshot>(snapshots: readonly S[], label: string): S {
  const found = findLabelled(snapshots, label, defaultDatabase) as S | undefined;
  if (found === undefined) throw tableNotFound(label, snapshots);
  return found;
}

/**
 * The table as `as_of=` in the query wants it, with the columns that it had then: as of now where it wants nothing.
 * @throws Failure `version_not_found`, `version_expired`, and as `requireTable`
 */
export async function requireTableAsOf(
  catalog: TableCatalog,
  label: string,
  query: Readonly<Record<string, unknown>>,
): Promise<{ snapshot: Snapshot; asOf: QueryRequest['asOf'] }> {
  const snapshot = requireTable(catalog.current(), label);
  const asOf = asOfIn(query);
  const past = asOf && (await catalog.snapshotAt?.(snapshot.name, asOf));
  return { snapshot: past ?? snapshot, asOf };
}

/** @throws Failure `bad_param` where there are too many values */
export function splitTags(
  query: Readonly<Record<string, unknown>>,
  tags: readonly string[],
  otherNames: readonly string[],
): { tagValues: TagValues; others: Record<string, unknown> } {
  const tagValues = new Map<string, string[]>();
  const others: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(query)) {
    const tag = tagOf(name, tags, otherNames);
    if (tag === undefined) others[name] = given;
    else tagValues.set(tag, [...(tagValues.get(tag) ?? []), ...[given].flat().flatMap(splitList)]);
  }
  const count = [...tagValues.values()].reduce((sum, values) => sum + values.length, 0);
  if (count > tagValuesMax)
    throw badParam('tags', `there are ${count} values, at most ${tagValuesMax} are allowed`);
  return { tagValues, others };
}

function tagOf(name: string, tags: readonly string[], otherNames: readonly string[]): string | undefined {
  const bare = name.startsWith(prefix) ? name.slice(prefix.length) : name;
  return tags.includes(bare) && (bare !== name || !otherNames.includes(name)) ? bare : undefined;
}

/** `a,b\,c` → `a`, `b,c`. */
export function splitList(given: unknown): string[] {
  const text = typeof given === 'string' ? given : '';
  return (text.match(/(?:\\.|[^,\\])+|\\$/g) ?? ['']).map((part) => part.replaceAll(/\\(.)/g, '$1'));
}
