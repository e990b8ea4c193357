/**
 * The columns of a classic checkpoint (PROTOCOL.md, "Checkpoint Schema"): one row per action, one struct per kind of action.
 *
 * What other writers put there besides is not kept: parsed statistics, say. A member that a file does not have reads as
 * null, since writers may leave out what they do not use.
 */
import type { Session } from './duckdb.js';
import { quoteName, quotePath } from './sql-text.js';

const textMap = 'MAP(VARCHAR, VARCHAR)';

export const checkpointColumns = {
  txn: { appId: 'VARCHAR', version: 'BIGINT', lastUpdated: 'BIGINT' },
  add: {
    path: 'VARCHAR',
    partitionValues: textMap,
    size: 'BIGINT',
    modificationTime: 'BIGINT',
    dataChange: 'BOOLEAN',
    stats: 'VARCHAR',
    tags: textMap,
  },
  remove: {
    path: 'VARCHAR',
    deletionTimestamp: 'BIGINT',
    dataChange: 'BOOLEAN',
    extendedFileMetadata: 'BOOLEAN',
    partitionValues: textMap,
    size: 'BIGINT',
  },
  metaData: {
    id: 'VARCHAR',
    name: 'VARCHAR',
    description: 'VARCHAR',
    format: `STRUCT(provider VARCHAR, options ${textMap})`,
    schemaString: 'VARCHAR',
    partitionColumns: 'VARCHAR[]',
    configuration: textMap,
    createdTime: 'BIGINT',
  },
  protocol: {
    minReaderVersion: 'INTEGER',
    minWriterVersion: 'INTEGER',
    readerFeatures: 'VARCHAR[]',
    writerFeatures: 'VARCHAR[]',
  },
} as const;

export type CheckpointColumn = keyof typeof checkpointColumns;
export const checkpointColumnNames = Object.keys(checkpointColumns) as CheckpointColumn[];

/** The member that every action of a kind has. */
const keyMembers = {
  txn: 'appId',
  add: 'path',
  remove: 'path',
  metaData: 'id',
  protocol: 'minReaderVersion',
} as const satisfies Record<CheckpointColumn, string>;

export function structType(column: CheckpointColumn): string {
  const members = Object.entries(checkpointColumns[column]);
  return `STRUCT(${members.map(([name, type]) => `${quoteName(name)} ${type}`).join(', ')})`;
}

/** The checkpoint in `paths` as a relation with exactly `checkpointColumns`, whoever wrote it. */
export async function checkpointRelation(session: Session, paths: readonly string[]): Promise<string> {
  const files = filesOf(paths);
  const found = await session.rows(`DESCRIBE SELECT * FROM ${files}`);
  const present = new Set(found.map((row) => String(row['column_name'])));
  const selects: string[] = [];
  for (const column of checkpointColumnNames)
    selects.push(
      present.has(column)
        ? await structSql(session, files, column)
        : `CAST(NULL AS ${structType(column)}) AS ${quoteName(column)}`,
    );
  return `(SELECT ${selects.join(', ')} FROM ${files})`;
}

/** Whether a checkpoint that is named like a classic one says that its files are listed elsewhere. */
export async function hasSidecars(session: Session, paths: readonly string[]): Promise<boolean> {
  const found = await session.rows(`DESCRIBE SELECT * FROM ${filesOf(paths)}`);
  if (!found.some((row) => row['column_name'] === 'sidecar')) return false;
  const rows = await session.rows(`SELECT 1 FROM ${filesOf(paths)} WHERE sidecar.path IS NOT NULL LIMIT 1`);
  return rows.length > 0;
}

function filesOf(paths: readonly string[]): string {
  return `read_parquet([${paths.map(quotePath).join(', ')}], union_by_name = true, hive_partitioning = false)`;
}

/** An absent action is a null struct, not a struct of nulls: readers take the latter for an action. */
async function structSql(session: Session, files: string, column: CheckpointColumn): Promise<string> {
  const found = await session.rows(`DESCRIBE SELECT ${column}.* FROM ${files}`);
  const present = new Set(found.map((row) => String(row['column_name'])));
  const members = Object.entries(checkpointColumns[column]).map(([name, type]) => {
    const value = present.has(name) ? `${column}.${quoteName(name)}` : 'NULL';
    return `${quoteName(name)} := CAST(${value} AS ${type})`;
  });
  return `CASE WHEN ${column}.${keyMembers[column]} IS NULL THEN NULL
    ELSE struct_pack(${members.join(', ')}) END AS ${quoteName(column)}`;
}
