/**
 * A table's columns as Delta's `schemaString` (PROTOCOL.md, "Schema Serialization Format") and back.
 *
 * Order: `time`, tags by name, fields by name, `day`; the data files have the same. Every column is nullable: Delta
 * takes `nullable: false` for a constraint, and files from before a column was added read it as null. A column's
 * metadata says what Delta has no word for:
 *
 * | member               | value                                             |
 * |----------------------|---------------------------------------------------|
 * | varve.role           | `time`, `tag` or `field`; absent: `field`         |
 * | varve.original_name  | the name before folding, where that changed it    |
 * | varve.decimals       | of a decimal: its declared resolution, as in the type |
 * | varve.side_of        | of a side column: the name of the column that it stands beside |
 * | varve.side_agent, varve.side_since_ms | of a side column: whose value was the first there, and when it was committed |
 *
 * A double with `decimals` is Delta's decimal(18, decimals): 64 bits in the file, more than a double tells apart. Queries
 * see a double (`shown-fields.ts`).
 */
import { z } from 'zod';
import {
  dayColumnName,
  decimalsMax,
  fieldTypes,
  timeColumnName,
  type Field,
  type TableColumns,
  type Tag,
} from '@varve/common/contract/columns.js';
import { Failure } from '@varve/common/errors.js';

const roleMember = 'varve.role';
const originalNameMember = 'varve.original_name';
const decimalsMember = 'varve.decimals';
const sideOfMember = 'varve.side_of';
const sideAgentMember = 'varve.side_agent';
const sideSinceMember = 'varve.side_since_ms';

/** Of every decimal column of ours: the most that an INT64 takes. Deltas are as short in it as in an INT32, and more values fit. */
export const decimalDigits = 18;

const deltaFieldSchema = z.object({
  name: z.string(),
  type: z.unknown(),
  metadata: z.record(z.string(), z.unknown()).default({}),
});
type DeltaField = z.infer<typeof deltaFieldSchema>;

const deltaSchema = z.object({ type: z.literal('struct'), fields: z.array(deltaFieldSchema) });

export function formatSchema({ tags, fields }: TableColumns): string {
  return JSON.stringify({
    type: 'struct',
    fields: [
      formatColumn({ name: timeColumnName }, 'timestamp', 'time'),
      ...tags.map((tag) => formatColumn(tag, 'string', 'tag')),
      ...fields.map((field) => formatColumn(field, formatType(field), 'field')),
      formatColumn({ name: dayColumnName }, 'date'),
    ],
  });
}

function formatType({ type, decimals }: Field): string {
  return decimals === undefined ? type : `decimal(${decimalDigits},${decimals})`;
}

function formatColumn(column: Tag & Partial<Field>, type: string, role?: string): object {
  const { name, originalName, decimals, sideOf, sideFrom } = column;
  const metadata = {
    ...(role !== undefined && { [roleMember]: role }),
    ...(originalName !== undefined && { [originalNameMember]: originalName }),
    ...(decimals !== undefined && { [decimalsMember]: decimals }),
    ...(sideOf !== undefined && { [sideOfMember]: sideOf }),
    ...(sideFrom && { [sideAgentMember]: sideFrom.agent, [sideSinceMember]: sideFrom.sinceMs }),
  };
  return { name, type, nullable: true, metadata };
}

/** @throws Failure `table_unreadable` naming the column that cannot be read */
export function parseSchema(table: string, schemaString: string): TableColumns {
  const columns = parseJson(table, schemaString);
  requireColumn(table, columns, timeColumnName, 'timestamp');
  requireColumn(table, columns, dayColumnName, 'date');
  const others = columns.filter(({ name }) => name !== timeColumnName && name !== dayColumnName);
  const isTag = (column: DeltaField) => column.metadata[roleMember] === 'tag' && column.type === 'string';
  return {
    tags: others.filter(isTag).map(toTag).sort(byName),
    fields: others
      .filter((column) => !isTag(column))
      .map((column) => toField(table, column))
      .sort(byName),
  };
}

function parseJson(table: string, schemaString: string): DeltaField[] {
  try {
    return deltaSchema.parse(JSON.parse(schemaString)).fields;
  } catch (cause) {
    throw new Failure('table_unreadable', `the schema of table ${table} is not one`, {
      cause,
      facts: { table },
    });
  }
}

function requireColumn(table: string, columns: readonly DeltaField[], name: string, type: string): void {
  if (columns.some((column) => column.name === name && column.type === type)) return;
  throw new Failure('table_unreadable', `table ${table} has no column "${name}" of type ${type}`, {
    hint: 'tables here have a time column "time" and are partitioned by a date "day"',
    facts: { table },
  });
}

function toTag({ name, metadata }: DeltaField): Tag {
  const [originalName, sideOf] = [metadata[originalNameMember], metadata[sideOfMember]];
  const [agent, sinceMs] = [metadata[sideAgentMember], metadata[sideSinceMember]];
  return {
    name,
    ...(typeof originalName === 'string' && { originalName }),
    ...(typeof sideOf === 'string' && { sideOf }),
    ...(typeof agent === 'string' && typeof sinceMs === 'number' && { sideFrom: { agent, sinceMs } }),
  };
}

function toField(table: string, column: DeltaField): Field {
  const type = fieldTypes.find((known) => known === column.type);
  if (type !== undefined) return { ...toTag(column), type };
  const decimals = parseDecimals(column.type);
  if (decimals !== undefined) return { ...toTag(column), type: 'double', decimals };
  throw new Failure(
    'table_unreadable',
    `column "${column.name}" of table ${table} has type ${JSON.stringify(column.type)}; only ${fieldTypes.join(', ')} and decimal(${decimalDigits},n) are known`,
    { facts: { table, column: column.name } },
  );
}

function parseDecimals(type: unknown): number | undefined {
  const [, digits, decimals] = /^decimal\((\d+),\s*(\d+)\)$/.exec(String(type)) ?? [];
  const isOurs = Number(digits) === decimalDigits && Number(decimals) <= decimalsMax;
  return isOurs ? Number(decimals) : undefined;
}

/** In code-unit order, which for names (ASCII) is also byte order. */
function byName(left: Tag, right: Tag): number {
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0;
}

/** A tag or a field; tags are strings. */
export type ValueColumn = Pick<Field, 'name' | 'type' | 'decimals'>;

/** Every column but `time` and `day`, as the schema orders them. */
export function valueColumns({ tags, fields }: TableColumns): ValueColumn[] {
  return [...tags.map(({ name }) => ({ name, type: 'string' as const })), ...fields];
}
