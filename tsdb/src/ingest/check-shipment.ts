/**
 * Whether a file keeps the contract (common/contract/shipment.ts), judged by what was read of it. Pure.
 *
 * Each check throws a Failure `shipment_invalid` that says what is wrong; the caller quarantines the file with it.
 */
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import {
  timeColumnName,
  type Field,
  type FieldType,
  type TableColumns,
  type Tag,
} from '@varve/common/contract/columns.js';
import { isIdentifier, reservedColumnNames } from '@varve/common/contract/names.js';
import type { InboxKey } from '@varve/common/contract/object-keys.js';
import { parseShipmentMetadata } from '@varve/common/contract/read-shipment.js';
import type { ShipmentMetadata } from '@varve/common/contract/shipment.js';
import { Failure } from '@varve/common/errors.js';
import { checkAggregateColumns, isAggregateColumnName, isBlank } from './check-aggregate.js';

/** One element of the Parquet schema below its root. */
export interface ParquetColumn {
  readonly name: string;
  /** DuckDB's name of the type; undefined for groups. */
  readonly type: string | undefined;
  /** Parquet's own, with units. */
  readonly logicalType: string | undefined;
  readonly isRepeatedOrNested: boolean;
}

/** What the footer says. */
export interface ShipmentFooter {
  readonly metadata: ReadonlyMap<string, string>;
  readonly rowCount: number;
  readonly columns: readonly ParquetColumn[];
}

/** What the column `time` says. */
export interface ShipmentTimes {
  readonly rowCount: number;
  readonly notNullCount: number;
  readonly finiteCount: number;
  /** Undefined when there is no row. */
  readonly minUs: bigint | undefined;
  readonly maxUs: bigint | undefined;
}

export interface ShipmentContent {
  readonly columns: TableColumns;
  readonly rowCount: number;
  /** Of a shipment of aggregates. */
  readonly aggregate: AggregateFacts | undefined;
}

const fieldTypeOf: Readonly<Record<string, FieldType>> = {
  DOUBLE: 'double',
  BIGINT: 'long',
  BOOLEAN: 'boolean',
  VARCHAR: 'string',
};

export function checkFooter(key: InboxKey, footer: ShipmentFooter): ShipmentContent {
  const metadata = parseShipmentMetadata(footer.metadata);
  checkKey(key, metadata);
  if (metadata.rowCount !== footer.rowCount)
    reject(`the metadata says ${metadata.rowCount} rows, the file has ${footer.rowCount}`);
  const { aggregate } = metadata;
  checkColumns(footer.columns, aggregate !== undefined);
  const columns = toTableColumns(footer.columns, metadata);
  const { rowCount } = footer;
  if (aggregate && !isBlank(columns, rowCount)) checkAggregateColumns(columns);
  return { columns, rowCount, aggregate };
}

function checkKey(key: InboxKey, metadata: ShipmentMetadata): void {
  for (const part of ['agent', 'epoch', 'lane', 'database', 'table', 'seq'] as const)
    if (metadata[part] !== key[part])
      reject(`the metadata says ${part} "${metadata[part]}", the key says "${key[part]}"`);
}

function checkColumns(columns: readonly ParquetColumn[], hasAggregates: boolean): void {
  const names = new Set<string>();
  for (const column of columns) {
    if (names.has(column.name)) reject(`there are two columns "${column.name}"`);
    names.add(column.name);
    if (column.isRepeatedOrNested) reject(`column "${column.name}" is nested`);
    if (column.name === timeColumnName) checkTimeType(column);
    else if (!isColumnName(column.name, hasAggregates))
      reject(`"${column.name}" is not a valid name of a column`);
  }
  if (!names.has(timeColumnName)) reject('there is no column "time"');
}

function isColumnName(name: string, hasAggregates: boolean): boolean {
  if (hasAggregates && isAggregateColumnName(name)) return true;
  return isIdentifier(name) && !reservedColumnNames.has(name);
}

function checkTimeType({ type, logicalType }: ParquetColumn): void {
  // Written so by DuckDB for `TimeUnit`: the unit that applies has a value.
  const isMicros = /MICROS=MicroSeconds/.test(logicalType ?? '');
  if (type !== 'TIMESTAMP WITH TIME ZONE' || !isMicros)
    reject(`column "time" is ${logicalType ?? type ?? 'untyped'}, not a timestamp in microseconds, UTC`);
}

function toTableColumns(
  columns: readonly ParquetColumn[],
  { tags, originalNames, decimals, aggregate }: ShipmentMetadata,
): TableColumns {
  const typed = columns.filter(({ name }) => name !== timeColumnName).map(toField);
  const named = typed
    .map((field) => withOriginalName(field, originalNames))
    .map((field) => (aggregate ? field : withDecimals(field, decimals)))
    .sort(byName);
  for (const tag of tags)
    if (!named.some(({ name, type }) => name === tag && type === 'string'))
      reject(`tag "${tag}" is not a column of strings`);
  const isTag = ({ name }: Field) => tags.includes(name);
  return {
    tags: named.filter(isTag).map(toTag),
    fields: named.filter((field) => !isTag(field)),
  };
}

/** A double may come as the decimal that it is declared to be. */
const decimalPattern = /^DECIMAL\(\d+, ?\d+\)$/;

function toField({ name, type }: ParquetColumn): Field {
  const fieldType = decimalPattern.test(type ?? '') ? 'double' : fieldTypeOf[type ?? ''];
  return fieldType ? { name, type: fieldType } : reject(`column "${name}" has type ${type ?? 'unknown'}`);
}

function toTag({ name, originalName }: Field): Tag {
  return originalName === undefined ? { name } : { name, originalName };
}

function withOriginalName(field: Field, originalNames: Readonly<Record<string, string>>): Field {
  const originalName = Object.hasOwn(originalNames, field.name) ? originalNames[field.name] : undefined;
  return originalName === undefined ? field : { ...field, originalName };
}

/** Aggregates stay doubles: what does not fit in a decimal would need all columns of its field beside it. */
function withDecimals(field: Field, decimals: ShipmentMetadata['decimals'] = {}): Field {
  const declared = Object.hasOwn(decimals, field.name) ? decimals[field.name] : undefined;
  return declared === undefined || field.type !== 'double' ? field : { ...field, decimals: declared };
}

function byName(left: Tag, right: Tag): number {
  return left.name < right.name ? -1 : 1;
}

/** Microseconds are kept as doubles: between the years 1684 and 2255 that is exact. */
export function checkTimes(content: ShipmentContent, times: ShipmentTimes): void {
  if (times.rowCount !== content.rowCount)
    reject(`the footer says ${content.rowCount} rows, ${times.rowCount} can be read`);
  if (times.notNullCount < times.rowCount) reject(`${times.rowCount - times.notNullCount} rows have no time`);
  const isOutside = [times.minUs, times.maxUs].some(
    (us) => us !== undefined && !Number.isSafeInteger(Number(us)),
  );
  if (times.finiteCount < times.rowCount || isOutside)
    reject('there are times before the year 1684 or after 2255');
}

function reject(reason: string): never {
  throw new Failure('shipment_invalid', reason);
}
