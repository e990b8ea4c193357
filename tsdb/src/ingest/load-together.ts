/**
 * Many shipments at once: `loadShipments` for the ordinary case that all of them keep the contract.
 *
 * One by one, a shipment takes half a dozen statements, whatever its size: a thousand agents with ten rows each would keep
 * ingest busy all the time. Here the footers of all are read by three statements, and each distinct set of columns takes
 * three more. Whatever is wrong with any of them, nothing is kept, and they are looked at one by one.
 */
import { timeColumnName } from '@varve/common/contract/columns.js';
import type { Row, Session } from '../delta/duckdb.js';
import { valueColumns } from '../delta/schema.js';
import { quoteName, quotePath, quoteText } from '../delta/sql-text.js';
import { checkFooter, checkTimes, type ShipmentContent, type ShipmentFooter } from './check-shipment.js';
import {
  createSql,
  toParquetColumn,
  toTimes,
  rowsPerShipmentMax,
  timesSql,
  type RawTable,
} from './load-shipments.js';
import type { StagedShipment } from './staging.js';

/** Names that DuckDB gives to the numbers of rows; a shipment with such a column is loaded by itself. */
const rowNumber = 'file_row_number';
const fileColumn = '@file';

interface Checked {
  readonly place: number;
  readonly path: string;
  readonly content: ShipmentContent;
}

export interface LoadedTogether {
  readonly rawTables: RawTable[];
  readonly rowCount: number;
}

/**
 * Undefined when these cannot be loaded together. @throws Failure or SqlError when one of them is broken; temporary tables
 * that were made are gone then
 */
export async function loadTogether(
  session: Session,
  shipments: readonly StagedShipment[],
  requireContent: (staged: StagedShipment, content: ShipmentContent) => void,
): Promise<LoadedTogether | undefined> {
  const footers = await readFooters(session, shipments);
  const groups = new Map<string, Checked[]>();
  let rowCount = 0;
  for (const [place, staged] of shipments.entries()) {
    const footer = footers.get(staged.path);
    if (!footer) return undefined;
    const content = checkFooter(staged.object.parts, footer);
    requireContent(staged, content);
    if (footer.columns.some(({ name }) => name === rowNumber)) return undefined;
    rowCount += content.rowCount;
    const signature = JSON.stringify([content.columns, footer.columns]);
    groups.set(signature, [...(groups.get(signature) ?? []), { place, path: staged.path, content }]);
  }
  const rawTables: RawTable[] = [];
  try {
    for (const group of groups.values()) rawTables.push(await loadGroup(session, group, rawTables.length));
  } catch (error) {
    for (let index = 0; index < groups.size; index++) await session.run(`DROP TABLE IF EXISTS raw_${index}`);
    throw error;
  }
  return { rawTables, rowCount };
}

async function readFooters(
  session: Session,
  shipments: readonly StagedShipment[],
): Promise<ReadonlyMap<string, ShipmentFooter>> {
  const files = listOf(shipments.map(({ path }) => path));
  const entries = groupByFile(
    await session.rows(`
      SELECT file_name, decode(key) AS "key", decode(value) AS "value"
      FROM parquet_kv_metadata(${files}) WHERE starts_with(decode(key), 'varve.')`),
  );
  const totals = groupByFile(
    await session.rows(`SELECT file_name, num_rows FROM parquet_file_metadata(${files})`),
  );
  const elements = groupByFile(
    await session.rows(`
      SELECT file_name, name, duckdb_type, logical_type, repetition_type, num_children
      FROM parquet_schema(${files}) ORDER BY file_name, column_id`),
  );
  return new Map(
    shipments.flatMap(({ path }): [string, ShipmentFooter][] => {
      const [total] = totals.get(path) ?? [];
      // The first element is the root.
      const columns = elements.get(path)?.slice(1).map(toParquetColumn);
      if (!total || !columns) return [];
      const metadata = new Map(
        (entries.get(path) ?? []).map((row) => [String(row['key']), String(row['value'])]),
      );
      return [[path, { metadata, rowCount: Number(total['num_rows']), columns }]];
    }),
  );
}

function groupByFile(rows: readonly Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const path = String(row['file_name']);
    const group = groups.get(path);
    if (group) group.push(row);
    else groups.set(path, [row]);
  }
  return groups;
}

async function loadGroup(session: Session, group: readonly Checked[], index: number): Promise<RawTable> {
  const [
    {
      content: { columns },
    },
  ] = group as [Checked];
  const rawTable: RawTable = { name: `raw_${index}`, columns };
  const files = listOf(group.map(({ path }) => path));
  await checkAllTimes(session, group, files);
  await session.run(createSql(rawTable));
  const names = [timeColumnName, ...valueColumns(columns).map(({ name }) => name)].map(quoteName);
  const places = group.map(({ path, place }) => `(${quoteText(path)}, ${place})`).join(', ');
  await session.run(`
    INSERT INTO ${quoteName(rawTable.name)}
    SELECT place * ${rowsPerShipmentMax} + ${rowNumber} + 1, ${names.map((name) => `rows.${name}`).join(', ')}
    FROM read_parquet(${files}, hive_partitioning = false, filename = '${fileColumn}', ${rowNumber} = true) AS rows
    JOIN (VALUES ${places}) AS places("@path", place) ON rows.${quoteName(fileColumn)} = places."@path"`);
  return rawTable;
}

async function checkAllTimes(session: Session, group: readonly Checked[], files: string): Promise<void> {
  const rows = await session.rows(`
    SELECT ${quoteName(fileColumn)} AS file_name, ${timesSql}
    FROM read_parquet(${files}, hive_partitioning = false, filename = '${fileColumn}') GROUP BY 1`);
  const times = groupByFile(rows);
  // A file without rows has no group.
  for (const { path, content } of group) checkTimes(content, toTimes(times.get(path)?.[0] ?? {}));
}

function listOf(paths: readonly string[]): string {
  return `[${paths.map(quotePath).join(', ')}]`;
}
