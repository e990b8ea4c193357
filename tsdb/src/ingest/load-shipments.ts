/**
 * Reads staged shipments into temporary tables of the session, one table per distinct set of columns.
 *
 * 1. The footer is read and checked, then the column `time`, and of aggregates the windows. The first shipment with
 *    anything in it decides what a new table's rows are.
 * 2. All rows are read once. Each gets `@order`: the shipment's place in the commit, then the row's place in the file; of
 *    two rows with one (tags, time) the one with the higher order was written later. Names of columns never begin with @.
 * 3. All of that is tried for all shipments together first (`load-together.ts`).
 * 4. Whatever goes wrong while a file is read is the file's fault and rejects it, unless it is this machine's. An INSERT
 *    is one transaction, so that a file that breaks off half way leaves nothing behind.
 */
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import { SqlError, type Row, type Session } from '../delta/duckdb.js';
import { valueColumns } from '../delta/schema.js';
import { quoteName, quotePath, sqlType, timeSqlType } from '../delta/sql-text.js';
import { checkPartials, joinKinds, kindOf, requireKind, type RowKind } from './check-aggregate.js';
import {
  checkFooter,
  checkTimes,
  type ParquetColumn,
  type ShipmentContent,
  type ShipmentFooter,
  type ShipmentTimes,
} from './check-shipment.js';
import type { IngestLimits } from './ingest-limits.js';
import { loadTogether } from './load-together.js';
import type { InboxObject } from './list-inbox.js';
import { readPartialFaults } from './read-partials.js';
import type { StagedShipment } from './staging.js';

export const orderColumn = quoteName('@order');
/** More than a shipment may have rows, so that orders of two shipments never meet. */
export const rowsPerShipmentMax = 2 ** 32;

/** The shipment's place in the commit, from a row's `@order`. */
export function placeOf(order: string): string {
  return `(${order} - 1) // ${rowsPerShipmentMax}`;
}

/** Fewer are not worth the look. */
const togetherMin = 4;

/** A temporary table with `@order`, `time` and the shipments' own columns. */
export interface RawTable {
  readonly name: string;
  readonly columns: TableColumns;
}

export interface Rejection {
  readonly staged: StagedShipment;
  readonly failure: Failure;
}

export interface LoadedShipments {
  /** The table's, with these shipments. */
  readonly kind: RowKind;
  /** In the order given, without the rejected ones. */
  readonly objects: readonly InboxObject[];
  readonly rejections: readonly Rejection[];
  /** In order of their first shipment. */
  readonly rawTables: readonly RawTable[];
  readonly rowCount: number;
}

type ShipmentLimits = Pick<IngestLimits, 'shipmentBytesMax' | 'shipmentRowsMax'>;

export async function loadShipments(
  session: Session,
  tableKind: RowKind,
  shipments: readonly StagedShipment[],
  limits: ShipmentLimits,
): Promise<LoadedShipments> {
  const together = await tryTogether(session, tableKind, shipments, limits);
  if (together) return together;
  const objects: InboxObject[] = [];
  const rejections: Rejection[] = [];
  const rawTables = new Map<string, RawTable>();
  let [kind, rowCount] = [tableKind, 0];
  for (const [place, staged] of shipments.entries()) {
    try {
      const content = await readContent(session, staged, limits);
      const contentKind = kindOf(content.aggregate, content.columns, content.rowCount);
      requireKind(kind, contentKind);
      await load(session, rawTables, staged.path, place, content);
      kind = joinKinds(kind, contentKind);
      objects.push(staged.object);
      rowCount += content.rowCount;
    } catch (error) {
      rejections.push({ staged, failure: toRejection(error) });
    }
  }
  return { kind, objects, rejections, rawTables: [...rawTables.values()], rowCount };
}

/** Undefined where they are to be looked at one by one: as soon as one has aggregates, since the first one decides. */
async function tryTogether(
  session: Session,
  kind: RowKind,
  shipments: readonly StagedShipment[],
  limits: ShipmentLimits,
): Promise<LoadedShipments | undefined> {
  if ((kind !== 'rows' && kind !== undefined) || shipments.length < togetherMin) return undefined;
  let joined: RowKind = kind;
  try {
    const loaded = await loadTogether(session, shipments, ({ object }, content) => {
      requireAtMost('bytes', object.bytes, limits.shipmentBytesMax);
      requireAtMost('rows', content.rowCount, limits.shipmentRowsMax);
      const contentKind = kindOf(content.aggregate, content.columns, content.rowCount);
      requireKind('rows', contentKind);
      joined = joinKinds(joined, contentKind);
    });
    return (
      loaded && { ...loaded, kind: joined, objects: shipments.map(({ object }) => object), rejections: [] }
    );
  } catch (error) {
    // Which one is broken is seen when they come one by one.
    toRejection(error);
    return undefined;
  }
}

async function readContent(
  session: Session,
  { object, path }: StagedShipment,
  limits: ShipmentLimits,
): Promise<ShipmentContent> {
  requireAtMost('bytes', object.bytes, limits.shipmentBytesMax);
  const content = checkFooter(object.parts, await readFooter(session, path));
  requireAtMost('rows', content.rowCount, limits.shipmentRowsMax);
  checkTimes(content, await readTimes(session, path));
  const { aggregate, columns, rowCount } = content;
  if (aggregate && rowCount > 0) checkPartials(await readPartialFaults(session, path, columns, aggregate));
  return content;
}

function requireAtMost(unit: string, count: number, countMax: number): void {
  if (count <= countMax) return;
  throw new Failure('shipment_invalid', `the file has ${count} ${unit}, more than ${countMax}`);
}

async function readFooter(session: Session, path: string): Promise<ShipmentFooter> {
  const file = quotePath(path);
  const entries = await session.rows(`
    SELECT decode(key) AS "key", decode(value) AS "value"
    FROM parquet_kv_metadata(${file}) WHERE starts_with(decode(key), 'varve.')`);
  const [totals] = await session.rows(`SELECT num_rows FROM parquet_file_metadata(${file})`);
  // The first element is the root.
  const elements = await session.rows(`
    SELECT name, duckdb_type, logical_type, repetition_type, num_children
    FROM parquet_schema(${file}) ORDER BY column_id OFFSET 1`);
  return {
    metadata: new Map(entries.map((row) => [String(row['key']), String(row['value'])])),
    rowCount: Number(totals?.['num_rows']),
    columns: elements.map(toParquetColumn),
  };
}

export function toParquetColumn(row: Row): ParquetColumn {
  const text = (name: string) => (typeof row[name] === 'string' ? row[name] : undefined);
  return {
    name: text('name') ?? '',
    type: text('duckdb_type'),
    logicalType: text('logical_type'),
    isRepeatedOrNested: text('repetition_type') === 'REPEATED' || Number(row['num_children'] ?? 0) > 0,
  };
}

const time = quoteName(timeColumnName);
export const timesSql = `
  count(*) AS rows,
  count(${time}) AS not_null,
  count(epoch_us(${time})) AS finite,
  min(epoch_us(${time})) AS min_us,
  max(epoch_us(${time})) AS max_us`;

async function readTimes(session: Session, path: string): Promise<ShipmentTimes> {
  const [row = {}] = await session.rows(`
    SELECT ${timesSql} FROM read_parquet(${quotePath(path)}, hive_partitioning = false)`);
  return toTimes(row);
}

/** Of no row at all: a file without rows. */
export function toTimes(row: Row): ShipmentTimes {
  const bigint = (name: string) => (typeof row[name] === 'bigint' ? row[name] : undefined);
  return {
    rowCount: Number(row['rows'] ?? 0),
    notNullCount: Number(row['not_null'] ?? 0),
    finiteCount: Number(row['finite'] ?? 0),
    minUs: bigint('min_us'),
    maxUs: bigint('max_us'),
  };
}

async function load(
  session: Session,
  rawTables: Map<string, RawTable>,
  path: string,
  place: number,
  { columns }: ShipmentContent,
): Promise<void> {
  const signature = JSON.stringify(columns);
  let rawTable = rawTables.get(signature);
  if (!rawTable) {
    rawTable = { name: `raw_${rawTables.size}`, columns };
    await session.run(createSql(rawTable));
    rawTables.set(signature, rawTable);
  }
  await session.run(insertSql(rawTable, path, place));
}

export function createSql({ name, columns }: RawTable): string {
  const values = valueColumns(columns).map((column) => `${quoteName(column.name)} ${sqlType(column.type)}`);
  const all = [`${orderColumn} BIGINT`, `${quoteName(timeColumnName)} ${timeSqlType}`, ...values];
  return `CREATE TEMP TABLE ${quoteName(name)} (${all.join(', ')})`;
}

function insertSql({ name, columns }: RawTable, path: string, place: number): string {
  const names = [timeColumnName, ...valueColumns(columns).map((column) => column.name)].map(quoteName);
  const order = `${place * rowsPerShipmentMax} + row_number() OVER ()`;
  return `
    INSERT INTO ${quoteName(name)} SELECT ${order}, ${names.join(', ')}
    FROM read_parquet(${quotePath(path)}, hive_partitioning = false)`;
}

/** @throws whatever is not the file's fault; a file that vanished, or a full disk, is a Failure already */
function toRejection(error: unknown): Failure {
  if (isFailure(error) && error.kind === 'rejected') return error;
  if (!(error instanceof SqlError)) throw error;
  return new Failure('shipment_invalid', `the file cannot be read: ${error.message}`, { cause: error });
}
