/** Which series each row of a batch is of, whatever columns the batch happens to have. */
import type { BatchColumns, NamedColumn } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';

export interface RowSeries {
  /** Of each row: which of `keys`. */
  readonly indexes: Uint32Array;
  readonly keys: readonly string[];
}

/** The tags that are set, by name. */
export function keyOfTags(tags: readonly (readonly [name: string, value: string])[]): string {
  return JSON.stringify(tags);
}

export function tagsOfKey(key: string): [name: string, value: string][] {
  return JSON.parse(key) as [string, string][];
}

export function findSeries({ rowCount, tags }: BatchColumns): RowSeries {
  const indexes = new Uint32Array(rowCount);
  let count = 1;
  // Tag by tag: what was one series so far is told apart by the values of one more.
  for (const tag of tags) {
    const pairs = count * (tag.texts.length + 1);
    count = pairs <= tablePairsMax ? divideByTable(indexes, tag, pairs) : divideByMap(indexes, tag);
  }
  return { indexes, keys: findKeys(indexes, count, tags) };
}

/** Of series and values of one more tag: a table of a quarter of a megabyte. */
const tablePairsMax = 65_536;

/** Returns how many there are now; their numbers are in the order of their first rows. */
function divideByTable(
  indexes: Uint32Array,
  { values, validity, texts }: NamedColumn,
  pairs: number,
): number {
  // 0: not seen yet.
  const seen = new Uint32Array(pairs);
  const width = texts.length + 1;
  let count = 0;
  for (let row = 0; row < indexes.length; row++) {
    const code = isValid(validity, row) ? (values[row] ?? 0) + 1 : 0;
    const pair = (indexes[row] ?? 0) * width + code;
    if (seen[pair] === 0) seen[pair] = ++count;
    indexes[row] = (seen[pair] ?? 0) - 1;
  }
  return count;
}

function divideByMap(indexes: Uint32Array, { values, validity, texts }: NamedColumn): number {
  const seen = new Map<number, number>();
  const width = texts.length + 1;
  for (let row = 0; row < indexes.length; row++) {
    const code = isValid(validity, row) ? (values[row] ?? 0) + 1 : 0;
    const pair = (indexes[row] ?? 0) * width + code;
    let index = seen.get(pair);
    if (index === undefined) {
      index = seen.size;
      seen.set(pair, index);
    }
    indexes[row] = index;
  }
  return seen.size;
}

function findKeys(indexes: Uint32Array, count: number, tags: BatchColumns['tags']): string[] {
  const keys: string[] = [];
  for (let row = 0; row < indexes.length && keys.length < count; row++) {
    // Indexes are given out in the order of their first rows.
    if (indexes[row] !== keys.length) continue;
    keys.push(
      keyOfTags(
        tags.flatMap(({ name, values, validity, texts }): [string, string][] =>
          isValid(validity, row) ? [[name, texts[values[row] ?? 0] ?? '']] : [],
        ),
      ),
    );
  }
  return keys;
}
