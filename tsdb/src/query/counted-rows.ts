/**
 * `select count(*) from table`, which people ask first: the log says how many rows each file has, so nothing is read.
 *
 * Not of aggregates, whose partials are merged into fewer rows, and not where a file was added without that number.
 */
import { isDeepStrictEqual } from 'node:util';
import { BIGINT } from '@duckdb/node-api';
import { MemoryAnswer } from './memory-answer.js';
import type { Answer } from './query-answer.js';
import type { QueryEngine } from './query-engine.js';
import type { QueryPlan } from './query-plan.js';
import { isNode, nameAt, nodesAt, type ParseSelect, type SqlNode } from './sql-tree.js';

const countOfAll = 'count_star';

/** The name of its only column where a statement is that and nothing else; undefined otherwise. */
export async function findCountName(root: SqlNode, parse: ParseSelect): Promise<string | undefined> {
  const [item] = nodesAt(root, 'select_list');
  if (item === undefined || nameAt(item, 'function_name') !== countOfAll) return undefined;
  // Whatever else can be in a statement, also of a later version of DuckDB, makes it another one.
  const plain = await parse('SELECT count(*) FROM a_table');
  if (!isDeepStrictEqual(withoutNames(root), withoutNames(plain))) return undefined;
  return typeof item['alias'] === 'string' && item['alias'] !== '' ? item['alias'] : `${countOfAll}()`;
}

const names = new Set(['alias', 'catalog_name', 'schema_name', 'table_name', 'query_location']);

function withoutNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNames);
  if (!isNode(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, names.has(name) ? '' : withoutNames(part)]),
  );
}

/** What it counts; undefined where that must be read. */
export function countRows({
  statement,
  tables,
}: Pick<QueryPlan, 'statement' | 'tables'>): number | undefined {
  const [table, ...others] = tables;
  if (statement.countName === undefined || !table || others.length > 0) return undefined;
  if (table.isNewest || table.snapshot.aggregate) return undefined;
  const count = table.files.reduce((sum, { rowCount }) => sum + rowCount, 0);
  return Number.isSafeInteger(count) ? count : undefined;
}

export function answerCount(plan: QueryPlan, engine: QueryEngine): Answer | undefined {
  const count = countRows(plan);
  if (count === undefined) return undefined;
  return new MemoryAnswer(plan, engine, {
    columns: [{ name: plan.statement.countName ?? '', type: BIGINT }],
    batches: [{ rowCount: 1, vectorAt: () => ({ getItem: () => BigInt(count) }) }],
  });
}
