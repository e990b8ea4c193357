/**
 * Whether a shipment and its table are of one kind, and whether partials keep the contract (common/contract/aggregate.ts).
 * Pure; what breaks it throws a Failure `shipment_invalid`.
 *
 * 1. A table holds rows, or partials of windows of one width, for ever: its first shipment with anything in it decides.
 *    A shipment with no rows and no columns, as agents send one in place of what they lost, decides nothing.
 * 2. Partials have the tag `part`, and of each field all the columns that its type has, and no others; a sketch may be absent.
 * 3. Each row has a part and begins at a window's start, and its first and last times lie in that window. A sketch reads like
 *    one, and holds as many values as are counted.
 */
import {
  aggregateColumnName,
  aggregateFunctions,
  joinAggregateFacts,
  parseAggregateColumn,
  partColumnName,
  type AggregateFacts,
  type AggregateFunction,
} from '@varve/common/contract/aggregate.js';
import type { FieldType, TableColumns } from '@varve/common/contract/columns.js';
import { isIdentifier } from '@varve/common/contract/names.js';
import { Failure } from '@varve/common/errors.js';
import { aggregateFields, type AggregateField } from '../delta/aggregate-columns.js';
import type { Snapshot } from '../delta/snapshot.js';

/** What rows are in a table or shipment; undefined while nothing has decided it. */
export type RowKind = AggregateFacts | 'rows' | undefined;

export function kindOfTable(table: Snapshot | undefined): RowKind {
  if (table === undefined) return undefined;
  return kindOf(table.aggregate, table.columns, table.files.size);
}

export function kindOf(
  aggregate: AggregateFacts | undefined,
  columns: TableColumns,
  contentCount: number,
): RowKind {
  return aggregate ?? (isBlank(columns, contentCount) ? undefined : 'rows');
}

/** @param contentCount rows or files */
export function isBlank({ tags, fields }: TableColumns, contentCount: number): boolean {
  return contentCount + tags.length + fields.length === 0;
}

export function requireKind(table: RowKind, shipment: RowKind): void {
  if (table === undefined || shipment === undefined || describeKind(table) === describeKind(shipment)) return;
  reject(`the shipment has ${describeKind(shipment)}, its table has ${describeKind(table)}`);
}

/** They fit together (`requireKind`). */
export function joinKinds(table: RowKind, shipment: RowKind): RowKind {
  if (table === undefined || table === 'rows' || shipment === undefined || shipment === 'rows')
    return table ?? shipment;
  return joinAggregateFacts(table, shipment);
}

function describeKind(kind: AggregateFacts | 'rows'): string {
  return kind === 'rows' ? 'rows that are no aggregates' : `aggregates of every ${kind.everyMs} ms`;
}

/** Fields of aggregates may have longer names than others: the longest one must have room for its function. */
export function isAggregateColumnName(name: string): boolean {
  const parsed = parseAggregateColumn(name);
  return parsed !== undefined && isIdentifier(parsed.field);
}

export function checkAggregateColumns({ tags, fields }: TableColumns): void {
  if (!tags.some(({ name }) => name === partColumnName))
    reject(`there are aggregates without the tag "${partColumnName}"`);
  for (const { name } of tags)
    if (isAggregateColumnName(name) || name.endsWith('_mean'))
      reject(`tag "${name}" has a name that aggregates of a field could have`);
  for (const { name } of fields)
    if (!isAggregateColumnName(name)) reject(`column "${name}" is neither a tag nor an aggregate of a field`);
  for (const field of aggregateFields(fields)) checkField(field);
}

function checkField({ name, columns }: AggregateField): void {
  const type = columns.get('first')?.type;
  if (type === undefined) return reject(`there is no column "${aggregateColumnName(name, 'first')}"`);
  for (const wanted of aggregateFunctions) {
    const [column, expected] = [columns.get(wanted)?.type, expectedType(wanted, type)];
    const isLeftOut = wanted === 'sketch' && column === undefined;
    if (column !== expected && !isLeftOut)
      reject(
        `column "${aggregateColumnName(name, wanted)}" of a field of type ${type} ` +
          `${column ? `has type ${column}` : 'is not there'}, it should ${expected ? `have type ${expected}` : 'not be there'}`,
      );
  }
}

/** Of the aggregate of a field of that type; undefined where it has none. */
function expectedType(wanted: AggregateFunction, type: FieldType): FieldType | undefined {
  const isNumber = type === 'double' || type === 'long';
  switch (wanted) {
    case 'count':
    case 'first_time':
    case 'last_time':
      return 'long';
    case 'sum':
      return isNumber ? 'double' : undefined;
    case 'sketch':
      return isNumber ? 'string' : undefined;
    case 'min':
    case 'max':
      return isNumber ? type : undefined;
    case 'first':
    case 'last':
      return type;
  }
}

/** How many rows are not what partials are. */
export interface PartialFaults {
  readonly withoutPart: number;
  readonly besideWindows: number;
  readonly timesOutside: number;
  readonly brokenSketches: number;
}

export function checkPartials(faults: PartialFaults): void {
  if (faults.withoutPart > 0) reject(`${faults.withoutPart} rows have no part`);
  if (faults.besideWindows > 0) reject(`${faults.besideWindows} rows do not begin where a window does`);
  if (faults.timesOutside > 0)
    reject(`${faults.timesOutside} rows have first or last times outside their windows`);
  if (faults.brokenSketches > 0)
    reject(`${faults.brokenSketches} rows have a sketch that is none, or not of the values they count`);
}

function reject(reason: string): never {
  throw new Failure('shipment_invalid', reason);
}
