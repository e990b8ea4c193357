/**
 * The columns of a table of aggregates, field by field (common/contract/aggregate.ts). Pure.
 *
 * Its fields have names of their own: `x` is in no file, `x_count` and the others are. Columns that stand for none of an
 * aggregate, which only another program can have added, belong to no field here.
 */
import { parseAggregateColumn, type AggregateFunction } from '@varve/common/contract/aggregate.js';
import type { Field } from '@varve/common/contract/columns.js';

export interface AggregateField {
  /** Without the function: `x`. */
  readonly name: string;
  readonly columns: ReadonlyMap<AggregateFunction, Field>;
}

/** In order of their names. */
export function aggregateFields(columns: readonly Field[]): AggregateField[] {
  const fields = new Map<string, Map<AggregateFunction, Field>>();
  for (const column of columns) {
    const parsed = parseAggregateColumn(column.name);
    if (!parsed) continue;
    const known = fields.get(parsed.field) ?? new Map<AggregateFunction, Field>();
    fields.set(parsed.field, known.set(parsed.function, column));
  }
  return [...fields]
    .map(([name, ofField]): AggregateField => ({ name, columns: ofField }))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}
