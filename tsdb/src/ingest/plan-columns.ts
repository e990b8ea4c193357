/**
 * Which columns a table has after some shipments, and where each column of a shipment goes. Pure.
 *
 * 1. Same name, same kind (tag, or field of one type): the same column. Integers go into a double column as doubles. A
 *    declared resolution makes no other kind: the column keeps the one it has, and values that do not fit go beside (`plan-decimals.ts`).
 * 2. No column of the name: a new one. The first shipment that brings a name decides its kind.
 * 3. Anything else goes beside it, never away: `<name>__<kind>` (`sideColumnName`). That name is looked at by the same
 *    rules, so that a side column that is taken has a side column of its own.
 *    Side columns say what they stand beside, and take nothing else: a field that a sensor calls `x__double` has a column of
 *    its own.
 * 4. No two columns of a shipment meet in one: those whose name fits go first.
 */
import {
  sideColumnName,
  type Field,
  type FieldType,
  type TableColumns,
  type Tag,
} from '@varve/common/contract/columns.js';

type Kind = FieldType | 'tag';

/** One column of a shipment and the table's column that takes its values. */
export interface ColumnMapping {
  readonly source: string;
  readonly target: string;
}

export interface ColumnsPlan {
  readonly columns: TableColumns;
  /** The table needs other columns than it has. */
  readonly hasNewColumns: boolean;
  /** By shipment, in the order given. */
  readonly mappings: readonly (readonly ColumnMapping[])[];
}

interface Column extends Omit<Field, 'type'> {
  readonly kind: Kind;
}

export function planColumns(
  table: TableColumns | undefined,
  shipments: readonly TableColumns[],
): ColumnsPlan {
  const known = new Map(toColumns(table ?? { tags: [], fields: [] }).map((column) => [column.name, column]));
  const columnsBefore = known.size;
  const mappings = shipments.map((shipment) => mapShipment(known, toColumns(shipment)));
  return {
    columns: toTableColumns([...known.values()]),
    hasNewColumns: table === undefined || known.size > columnsBefore,
    mappings,
  };
}

function mapShipment(known: Map<string, Column>, columns: readonly Column[]): ColumnMapping[] {
  const taken = new Set<string>();
  const fitting = columns.filter((column) => fits(known, column.name, column.kind));
  const others = columns.filter((column) => !fitting.includes(column));
  return [...fitting, ...others].map((column) => {
    const target = findTarget(known, taken, column);
    taken.add(target);
    if (!known.has(target)) known.set(target, newColumn(column, target));
    return { source: column.name, target };
  });
}

/** What stands beside another column holds what that could not: of no declared resolution. */
function newColumn({ decimals, ...column }: Column, target: string): Column {
  if (target !== column.name) return { ...column, name: target, sideOf: column.name };
  return { ...column, ...(decimals !== undefined && { decimals }) };
}

function findTarget(
  known: ReadonlyMap<string, Column>,
  taken: ReadonlySet<string>,
  { name, kind }: Column,
): string {
  let target = name;
  while (taken.has(target) || !fits(known, target, kind, target === name ? undefined : name))
    target = sideColumnName(target, kind);
  return target;
}

/** Whether values of the kind can go into a column of the name: one that there is, or a new one. */
function fits(known: ReadonlyMap<string, Column>, name: string, kind: Kind, sideOf?: string): boolean {
  const there = known.get(name);
  if (!there) return true;
  return there.sideOf === sideOf && (there.kind === kind || (there.kind === 'double' && kind === 'long'));
}

/** The name of the double beside a field: the one that is there, or a free one. */
export function doubleBeside(fields: readonly Field[], tags: readonly Tag[], name: string): string {
  const known = new Map(toColumns({ tags, fields }).map((column) => [column.name, column]));
  let target = sideColumnName(name, 'double');
  while (!fits(known, target, 'double', name)) target = sideColumnName(target, 'double');
  return target;
}

function toColumns({ tags, fields }: TableColumns): Column[] {
  return [
    ...tags.map((tag): Column => ({ ...tag, kind: 'tag' })),
    ...fields.map(({ type, ...named }): Column => ({ ...named, kind: type })),
  ];
}

function toTableColumns(columns: readonly Column[]): TableColumns {
  const tags: Tag[] = [];
  const fields: Field[] = [];
  for (const { kind, ...named } of columns.toSorted(byName)) {
    if (kind === 'tag') tags.push(named);
    else fields.push({ ...named, type: kind });
  }
  return { tags, fields };
}

function byName(left: Tag, right: Tag): number {
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0;
}
