/**
 * The `metaData` action of our tables: how one is created, and how columns are added to it. A table of aggregates says so
 * in its configuration, under `varve.aggregate` (common/contract/aggregate.ts).
 */
import { randomUUID } from 'node:crypto';
import { aggregateKey, formatAggregateFacts, type AggregateFacts } from '@varve/common/contract/aggregate.js';
import { dayColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { parseAggregateFacts } from '@varve/common/contract/read-aggregate.js';
import { Failure } from '@varve/common/errors.js';
import type { MetaData } from './actions.js';
import { formatSchema } from './schema.js';

/**
 * Promises to other writers, as table properties. Nobody else may clean up the log; versions and files are kept equally
 * long, so that a version that exists can be read; statistics are text, as we write them.
 */
const configuration: Readonly<Record<string, string>> = {
  'delta.enableExpiredLogCleanup': 'false',
  'delta.logRetentionDuration': 'interval 7 days',
  'delta.deletedFileRetentionDuration': 'interval 7 days',
  'delta.checkpointInterval': '20',
  'delta.checkpoint.writeStatsAsJson': 'true',
  'delta.checkpoint.writeStatsAsStruct': 'false',
};

/** What a table's rows are like: its columns, and the windows where they are partials. */
export interface TableShape {
  readonly columns: TableColumns;
  readonly aggregate?: AggregateFacts | undefined;
}

export function createMetaData(name: TableName, { columns, aggregate }: TableShape, nowMs: number): MetaData {
  return {
    id: randomUUID(),
    name: name.table,
    format: { provider: 'parquet', options: {} },
    schemaString: formatSchema(columns),
    partitionColumns: [dayColumnName],
    createdTime: nowMs,
    configuration: { ...configuration, ...aggregateEntry(aggregate) },
  };
}

/** The same table with other columns. Files from before read the new ones as null. */
export function changeShape(metaData: MetaData, { columns, aggregate }: TableShape): MetaData {
  return {
    ...metaData,
    schemaString: formatSchema(columns),
    configuration: { ...metaData.configuration, ...aggregateEntry(aggregate) },
  };
}

function aggregateEntry(aggregate: AggregateFacts | undefined): Record<string, string> {
  return aggregate ? { [aggregateKey]: formatAggregateFacts(aggregate) } : {};
}

/** Undefined where rows are rows. @throws Failure `table_unreadable`: partials taken for rows would answer wrongly */
export function readAggregateFacts(table: string, { configuration }: MetaData): AggregateFacts | undefined {
  const text = configuration[aggregateKey];
  if (text === undefined) return undefined;
  const facts = parseAggregateFacts(text);
  if (facts) return facts;
  throw new Failure('table_unreadable', `table ${table} has "${aggregateKey}": ${text}, which is no width`, {
    hint: 'it should read like {"every_ms":10000}',
    facts: { table },
  });
}

/** @throws Failure `table_unreadable` unless the table is partitioned by `day` alone */
export function requireDayPartition(table: string, { partitionColumns }: MetaData): void {
  if (partitionColumns.length === 1 && partitionColumns[0] === dayColumnName) return;
  throw new Failure(
    'table_unreadable',
    `table ${table} is partitioned by (${partitionColumns.join(', ')}), not by ${dayColumnName}`,
    { facts: { table } },
  );
}

/** For people and logs, and as the key of maps. */
export function formatTableName({ database, table }: TableName): string {
  return `${database}.${table}`;
}
