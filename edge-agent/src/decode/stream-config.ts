/**
 * One stream, as everything behind the configuration sees it: which messages it takes, and what rows it makes of them.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import { foldColumnName } from '@varve/common/contract/names.js';
import type { AggregateConfig, RawChoice } from '../aggregate/aggregate-config.js';
import type { ReduceConfig } from '../reduce/reduce-config.js';
import { formatNameOf, type FormatConfig } from './format.js';
import { measurementPart, type TableTemplate } from './table-template.js';
import type { TimeUnit } from './time.js';
import type { TopicTemplate } from './topic-template.js';

export interface StreamConfig {
  readonly name: string;
  readonly database: string;
  readonly topic: TopicTemplate;
  readonly format: FormatConfig;
  /** A member of the payload; or, with `own`, what the format says, else arrival. Absent: arrival time. */
  readonly time: { readonly path: string; readonly unit: TimeUnit } | 'own' | undefined;
  /** Times are rounded down to multiples of it. */
  readonly snapUs?: number | undefined;
  /** Columns and what goes into them; a type alone is a rule for the member of that name. */
  readonly fields: ReadonlyMap<string, FieldType | FieldRule> | undefined;
  /** Taken as they are, with all below them. */
  readonly keep?: readonly string[] | undefined;
  /** Not taken, nor anything below them; tags of the format too. */
  readonly drop?: readonly string[] | undefined;
  /** What nobody asked for. Absent: ignored where `fields` or `keep` are listed, else taken. */
  readonly otherFields?: 'take' | 'ignore' | undefined;
  /** Besides the levels of the topic. */
  readonly tags?: ReadonlyMap<string, TagRule> | undefined;
  /** Absent: the name of the stream. */
  readonly table?: TableTemplate | undefined;
  /** A table is made for a message only while the agent has fewer of them in this database. */
  readonly tablesMax?: number | undefined;
  /** When messages must be dropped, those of the lowest go first. */
  readonly priority: number;
  /** Whether the rows themselves leave the gateway; absent: yes. */
  readonly raw?: RawChoice | undefined;
  readonly aggregates?: readonly AggregateConfig[] | undefined;
  /** Rows that say nothing new are not shipped; aggregates are made of all rows. */
  readonly reduce?: ReduceConfig | undefined;
}

export interface FieldRule {
  /** Absent: the name of the column. */
  readonly path?: string | undefined;
  /** Absent: as it comes, or double where it is scaled. */
  readonly type?: FieldType | undefined;
  readonly scale?: number | undefined;
  /** Added after scaling. */
  readonly offset?: number | undefined;
  /** Decimals. */
  readonly round?: number | undefined;
  /** The field's resolution: values are rounded to it, and the column says it, so that the lake can store it as decimals. */
  readonly decimals?: number | undefined;
}

/** Where a tag's value comes from. */
export type TagRule =
  | { readonly constant: string }
  | { readonly path: string }
  | { readonly topic: string }
  | { readonly measurement: true };

export const tablesMaxDefault = 100;

/** The one table of a stream; undefined where topics choose it. */
export function tableOf({ name, table }: Pick<StreamConfig, 'name' | 'table'>): string | undefined {
  if (!table) return name;
  return table.names.length > 0 ? undefined : table.parts[0];
}

/** Column → rule, with everything said that the configuration leaves out. */
export function fieldRulesOf({ fields }: StreamConfig): Map<string, FieldRule & { readonly path: string }> {
  return new Map(
    [...(fields ?? [])].map(([key, written]) => {
      const rule: FieldRule = typeof written === 'string' ? { type: written } : written;
      const round = rule.round ?? rule.decimals;
      const isScaled = (rule.scale ?? rule.offset ?? round) !== undefined;
      const type = rule.type ?? (isScaled ? 'double' : undefined);
      return [columnNameOf(key), { ...rule, type, round, path: rule.path ?? key }];
    }),
  );
}

/**
 * Every tag that all rows of the stream have. A level of the topic is a tag of its name, unless it chooses the table or is a
 * tag under another name; so is the measurement of line protocol.
 */
export function tagRulesOf(stream: StreamConfig): Map<string, TagRule> {
  const written = stream.tags ?? new Map<string, TagRule>();
  const isUsed = (level: string) =>
    stream.table?.names.includes(level) === true ||
    [...written.values()].some((rule) => 'topic' in rule && rule.topic === level);
  const levels = stream.topic.tags.filter((level) => !isUsed(level) && !written.has(level));
  const rules = new Map<string, TagRule>(levels.map((level) => [level, { topic: level }]));
  for (const [name, rule] of written) rules.set(name, rule);
  const saysMeasurement =
    formatNameOf(stream.format) === 'line_protocol' && stream.table?.names.includes(measurementPart) !== true;
  if (saysMeasurement && !rules.has(measurementPart) && stream.drop?.includes(measurementPart) !== true)
    rules.set(measurementPart, { measurement: true });
  return rules;
}

/** Longer names leave no room for the suffix of a side column. */
const columnNameCharsMax = 54;

/** The column of a member; out of the way of reserved names, and of side columns (`value__string`). */
export function columnNameOf(path: string): string {
  const name = foldColumnName(path).slice(0, columnNameCharsMax - 1);
  return /__(double|long|boolean|string|tag)$/.test(name) ? `${name}_` : name;
}
