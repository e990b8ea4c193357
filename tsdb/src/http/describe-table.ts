/**
 * Tables as `/api/v1/tables` shows them: with the columns that a query sees.
 */
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import { dayColumnName, timeColumnName, type FieldType, type Tag } from '@varve/common/contract/columns.js';
import { shownFields } from '../delta/shown-fields.js';
import type { Snapshot } from '../delta/snapshot.js';
import { mergedColumns, mergedTags } from '../query/merge-partials.js';
import { timestampText } from '../query/time-text.js';

export interface TableDescription {
  readonly name: string;
  readonly database: string;
  readonly version: number;
  /** Of a table of aggregates: partials, at least as many as a query sees rows. */
  readonly rows: number;
  /** Of data files, as stored. */
  readonly bytes: number;
  readonly files: number;
  /** Null while there are no rows. */
  readonly min_time: string | null;
  readonly max_time: string | null;
  /** Of a table of aggregates: the width of its windows. */
  readonly aggregate?: { readonly every_ms: number; readonly quantiles?: readonly number[] };
  readonly columns: readonly ColumnDescription[];
}

export interface ColumnDescription {
  readonly name: string;
  readonly role: 'time' | 'tag' | 'field' | 'day';
  /** As in the columns of an answer. */
  readonly type: string;
  /** What the sensor called it, where that is another name. */
  readonly original_name?: string;
}

const typeNames: Readonly<Record<FieldType | 'timestamp', string>> = {
  timestamp: 'timestamp[us, UTC]',
  double: 'double',
  long: 'int64',
  boolean: 'bool',
  string: 'string',
};

export function describeTable({ name, version, columns, aggregate, files }: Snapshot): TableDescription {
  let [rows, bytes] = [0, 0];
  let [minTimeUs, maxTimeUs] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const file of files.values()) {
    rows += file.rowCount;
    bytes += file.bytes;
    minTimeUs = Math.min(minTimeUs, file.minTimeUs);
    maxTimeUs = Math.max(maxTimeUs, file.maxTimeUs);
  }
  return {
    name: name.table,
    database: name.database,
    version,
    rows,
    bytes,
    files: files.size,
    min_time: formatTime(minTimeUs),
    max_time: formatTime(maxTimeUs),
    ...(aggregate && { aggregate: describeAggregate(aggregate) }),
    columns: aggregate
      ? describeColumns(mergedTags(columns), mergedColumns(columns, aggregate))
      : describeColumns(columns.tags, shownFields(columns)),
  };
}

function describeAggregate({ everyMs, quantiles }: AggregateFacts): TableDescription['aggregate'] {
  return { every_ms: everyMs, ...(quantiles && { quantiles }) };
}

interface ShownField extends Tag {
  readonly type: keyof typeof typeNames;
}

function describeColumns(tags: readonly Tag[], fields: readonly ShownField[]): ColumnDescription[] {
  const original = (name: string | undefined) => (name === undefined ? {} : { original_name: name });
  return [
    { name: timeColumnName, role: 'time', type: typeNames.timestamp },
    ...tags.map((tag) => ({
      name: tag.name,
      role: 'tag' as const,
      type: 'string',
      ...original(tag.originalName),
    })),
    ...fields.map((field) => ({
      name: field.name,
      role: 'field' as const,
      type: typeNames[field.type],
      ...original(field.originalName),
    })),
    { name: dayColumnName, role: 'day', type: 'date' },
  ];
}

function formatTime(us: number): string | null {
  return Number.isFinite(us) ? (timestampText(BigInt(us), 1_000_000) ?? null) : null;
}
