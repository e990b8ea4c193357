/**
 * `planColumns` for tables of aggregates: what has one name and type there is a field here, with all of its columns. Pure.
 *
 * A field whose type does not fit goes beside, whole: `x` that was long and becomes double makes `x__double_count`,
 * `x__double_sum` and so on, as a table of rows has `x` and `x__double`. Counts and sums of the two never mix.
 * Tags and fields cannot meet: no tag is called like an aggregate.
 */
import { aggregateColumnName } from '@varve/common/contract/aggregate.js';
import type { Field, TableColumns } from '@varve/common/contract/columns.js';
import { aggregateFields } from '../delta/aggregate-columns.js';
import { planColumns, type ColumnMapping, type ColumnsPlan } from './plan-columns.js';

/** The shipments keep the contract (`checkAggregateColumns`). */
export function planAggregateColumns(
  table: TableColumns | undefined,
  shipments: readonly TableColumns[],
): ColumnsPlan {
  const tagPlan = planColumns(table && tagsOf(table), shipments.map(tagsOf));
  const fieldPlan = planColumns(table && foldFields(table), shipments.map(foldFields));
  const known = new Map(table?.fields.map((column) => [column.name, column]));
  const countBefore = known.size;
  const mappings = shipments.map(({ fields }, index) => {
    const moved = mapColumns(fields, fieldPlan.mappings[index] ?? []);
    for (const { column, target } of moved)
      if (!known.has(target)) known.set(target, { ...column, name: target });
    const ofFields = moved.map(({ column, target }): ColumnMapping => ({ source: column.name, target }));
    return [...(tagPlan.mappings[index] ?? []), ...ofFields];
  });
  return {
    columns: { tags: tagPlan.columns.tags, fields: [...known.values()].sort(byName) },
    hasNewColumns: tagPlan.hasNewColumns || known.size > countBefore,
    mappings,
  };
}

function tagsOf({ tags }: TableColumns): TableColumns {
  return { tags, fields: [] };
}

/** Each field once, by its own name. */
function foldFields({ fields }: TableColumns): TableColumns {
  const folded = aggregateFields(fields).flatMap(({ name, columns }): Field[] => {
    const type = columns.get('first')?.type;
    return type === undefined ? [] : [{ name, type }];
  });
  return { tags: [], fields: folded };
}

/** Where each column of a shipment goes when its fields go where `mapping` says. */
function mapColumns(
  columns: readonly Field[],
  mapping: readonly ColumnMapping[],
): { readonly column: Field; readonly target: string }[] {
  const targetOf = new Map(mapping.map(({ source, target }) => [source, target]));
  return aggregateFields(columns).flatMap((field) =>
    [...field.columns].map(([wanted, column]) => ({
      column,
      target: aggregateColumnName(targetOf.get(field.name) ?? field.name, wanted),
    })),
  );
}

function byName(left: Field, right: Field): number {
  return left.name < right.name ? -1 : 1;
}
