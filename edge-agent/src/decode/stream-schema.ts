/**
 * `streams:` of `edge.yaml`: how a stream is written, and what is wrong with it.
 */
import { z } from 'zod';
import { parseAggregateColumn, partColumnName } from '@varve/common/contract/aggregate.js';
import { durationMs } from '@varve/common/config/units.js';
import { decimalsMax, fieldTypes, type FieldType } from '@varve/common/contract/columns.js';
import {
  foldColumnName,
  identifierPattern,
  isIdentifier,
  reservedColumnNames,
} from '@varve/common/contract/names.js';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import { aggregatesSchema, rawSchema, readAggregates } from '../aggregate/aggregate-schema.js';
import { lossesTable } from '../ship/losses-batch.js';
import { reduceSchema } from '../reduce/reduce-schema.js';
import { formatNameOf } from './format.js';
import { formatSchema } from './format-schema.js';
import {
  columnNameOf,
  tableOf,
  tablesMaxDefault,
  tagRulesOf,
  type FieldRule,
  type StreamConfig,
  type TagRule,
} from './stream-config.js';
import { measurementPart, parseTableTemplate, type TableTemplate } from './table-template.js';
import { timeUnits } from './time.js';
import { parseTopicTemplate, type TopicTemplate } from './topic-template.js';

const path = z
  .string({ error: 'write the name of a member, or a path such as data.temperature' })
  .min(1, 'write the name of a member, or a path such as data.temperature');
const finite = (error: string) => z.number({ error });

const expectedTime =
  'write { path: ts, unit: ms } with the name of the member that holds the time, or arrival';
const timeSchema = z.union(
  [
    z.literal('arrival', { error: expectedTime }),
    z
      .strictObject({
        path: path.optional(),
        unit: z.enum(timeUnits, { error: `write one of ${timeUnits.join(', ')}` }).optional(),
        snap: durationMs({ minMs: 1, maxMs: 86_400_000 }).optional(),
      })
      .superRefine((time, context) => {
        if ((time.path === undefined) === (time.unit === undefined)) return;
        const missing = time.path === undefined ? 'path' : 'unit';
        const message = `write ${missing} too, such as { path: ts, unit: ms }`;
        context.addIssue({ code: 'custom', path: [missing], message });
      }),
  ],
  { error: expectedTime },
);

const fieldSchema = z.union(
  [
    z.enum(fieldTypes, { error: `write one of ${fieldTypes.join(', ')}` }),
    z
      .strictObject({
        path: path.optional(),
        type: z.enum(fieldTypes, { error: `write one of ${fieldTypes.join(', ')}` }).optional(),
        scale: finite('write a number to multiply by, such as 0.1')
          .refine((scale) => scale !== 0, 'write a number other than 0: everything would be 0')
          .optional(),
        offset: finite('write a number to add, such as -40').optional(),
        round: z.int('write how many decimals to keep, such as 2').min(0).max(15).optional(),
        decimals: z
          .int('write how many decimals the field has, such as 2')
          .min(0)
          .max(decimalsMax)
          .optional(),
      })
      .superRefine(({ type, round, decimals }, context) => {
        if (decimals === undefined) return;
        if (type !== undefined && type !== 'double')
          context.addIssue({
            code: 'custom',
            path: ['decimals'],
            message: `is for doubles, and this is ${type}`,
          });
        if (round !== undefined)
          context.addIssue({ code: 'custom', path: ['round'], message: 'leave it out: decimals rounds too' });
      }),
  ],
  {
    error: `write one of ${fieldTypes.join(', ')}, or rules such as { path: data.temp, type: double, scale: 0.1 }`,
  },
);

const tagSchema = z.union(
  [
    z
      .union([z.string(), z.number(), z.boolean()])
      .transform((value): TagRule => ({ constant: String(value) })),
    z.strictObject({ path }),
    z.strictObject({ topic: z.string().min(1, 'write the name of a level of the topic, such as site') }),
  ],
  { error: 'write a text, { path: meta.device } or { topic: site }' },
);

const tagName = z.string().refine((name) => isIdentifier(name) && !reservedColumnNames.has(name), {
  error: ({ input }) =>
    `is no name for a tag: write ${foldColumnName(String(input))} (a-z, 0-9 and _; time and day are taken)`,
});

const paths = z
  .array(path, { error: 'list names of members or paths, such as [meta, rssi]' })
  .max(1_000, 'list at most 1000');

const rawStreamSchema = z.strictObject({
  topic: z.string().transform((text, context): TopicTemplate => {
    const parsed = parseTopicTemplate(text);
    if (typeof parsed !== 'string') return parsed;
    context.addIssue({ code: 'custom', message: parsed });
    return z.NEVER;
  }),
  format: formatSchema,
  database: z
    .string()
    .regex(identifierPattern, 'use a-z, 0-9 and _, not starting with a digit')
    .default(defaultDatabase),
  table: z
    .string()
    .transform((text, context): TableTemplate => {
      const parsed = parseTableTemplate(text);
      if (typeof parsed !== 'string') return parsed;
      context.addIssue({ code: 'custom', message: parsed });
      return z.NEVER;
    })
    .optional(),
  max_tables: z.int('write a whole number').min(1).max(10_000).default(tablesMaxDefault),
  time: timeSchema.optional(),
  tags: z.record(tagName, tagSchema).optional(),
  fields: z
    .record(z.string(), fieldSchema)
    .refine(
      (fields) => Object.keys(fields).length > 0,
      'list at least one field, or leave `fields` out to take them all',
    )
    .optional(),
  keep: paths.min(1, 'list at least one member, or leave `keep` out').optional(),
  drop: paths.optional(),
  other_fields: z.enum(['take', 'ignore'], { error: 'write take or ignore' }).optional(),
  raw: rawSchema,
  aggregate: aggregatesSchema,
  reduce: reduceSchema.optional(),
  priority: z.int('write a whole number: streams with the lowest lose messages first').default(0),
});

type RawStream = z.infer<typeof rawStreamSchema>;

interface Problem {
  readonly path: string[];
  readonly message: string;
}

const streamSchema = rawStreamSchema.superRefine((raw, context) => {
  for (const problem of [
    ...findLevelProblems(raw),
    ...findColumnProblems(raw),
    ...findAggregateProblems(raw),
    ...findReduceProblems(raw),
  ])
    context.addIssue({ code: 'custom', ...problem });
});

const streamName = z.string().refine(isIdentifier, {
  error: 'is not a table name: use a-z, 0-9 and _, not starting with a digit, at most 63 characters',
});

const example = 'environment: { topic: "plant/{device}/environment", format: json }';

export const streamsSchema = z
  .record(streamName, streamSchema, { error: `name at least one stream, such as ${example}` })
  .refine((streams) => Object.keys(streams).length > 0, 'name at least one stream')
  .superRefine((streams, context) => {
    const problems = [
      ...findSharedTableProblems(streams),
      ...findAggregateTableProblems(streams),
      ...findReducedTableProblems(streams),
    ];
    for (const problem of problems) context.addIssue({ code: 'custom', ...problem });
  });

export function shapeStreams(streams: z.infer<typeof streamsSchema>): StreamConfig[] {
  return Object.entries(streams).map(([name, raw]) => shapeStream(name, raw));
}

function shapeStream(name: string, raw: RawStream): StreamConfig {
  const { database, topic, format, table, keep, drop, priority } = raw;
  const time = typeof raw.time === 'object' ? raw.time : undefined;
  const named = time?.path !== undefined && time.unit !== undefined && { path: time.path, unit: time.unit };
  const isOwn = raw.time !== 'arrival' && formatNameOf(format) === 'line_protocol';
  return {
    ...{ name, database, topic, format, table, keep, drop, priority },
    time: named || (isOwn ? 'own' : undefined),
    snapUs: time?.snap === undefined ? undefined : Math.round(time.snap * 1_000),
    fields: raw.fields && new Map<string, FieldType | FieldRule>(Object.entries(raw.fields)),
    otherFields: raw.other_fields,
    tags: raw.tags && new Map(Object.entries(raw.tags)),
    tablesMax: raw.max_tables,
    raw: raw.raw,
    aggregates: readAggregates(tableOf({ name, table }) ?? name, raw.aggregate),
    ...(raw.reduce && { reduce: raw.reduce }),
  };
}

/** Names in `table` and `tags` that the topic does not have. */
function findLevelProblems({ topic, format, table, tags = {} }: RawStream): Problem[] {
  const levels = topic.tags.length > 0 ? topic.tags.map((tag) => `{${tag}}`).join(', ') : 'none';
  const hasMeasurement = formatNameOf(format) === 'line_protocol';
  const missing = (table?.names ?? []).filter(
    (name) => !topic.tags.includes(name) && !(hasMeasurement && name === measurementPart),
  );
  const wrongTags = Object.entries(tags).filter(
    ([, rule]) => 'topic' in rule && !topic.tags.includes(rule.topic),
  );
  return [
    ...missing.map((name) => ({
      path: ['table'],
      message: `{${name}} is no level of the topic, which has ${levels}${hasMeasurement ? '; {measurement} is there too' : ''}`,
    })),
    ...wrongTags.map(([name]) => ({
      path: ['tags', name, 'topic'],
      message: `is no level of the topic, which has ${levels}`,
    })),
  ];
}

/** Two things that would be one column. */
function findColumnProblems(raw: RawStream): Problem[] {
  const tags = tagRulesOf(shapeStream('', raw));
  const columns = new Map<string, string>();
  const problems: Problem[] = [];
  for (const key of Object.keys(raw.fields ?? {})) {
    const column = columnNameOf(key);
    const other = columns.get(column);
    columns.set(column, key);
    if (other !== undefined)
      problems.push({ path: ['fields', key], message: `and "${other}" would both be the column ${column}` });
    if (tags.has(column))
      problems.push({
        path: ['fields', key],
        message: `is the name of a tag: give one of them another name`,
      });
  }
  return problems;
}

/** What aggregates need of their stream. */
function findAggregateProblems(raw: RawStream): Problem[] {
  if (raw.aggregate.length === 0)
    return raw.raw !== 'drop'
      ? []
      : [
          {
            path: ['raw'],
            message:
              'drops the rows, and no aggregate is left: write aggregate: [{ every: 10s }], or raw: ship or keep 7d',
          },
        ];
  const fixed =
    tableOf({ name: '', table: raw.table }) === undefined
      ? [{ path: ['aggregate'], message: 'needs one table: write a stream for each, instead of table: {…}' }]
      : [];
  const tags = [...tagRulesOf(shapeStream('', raw)).keys()].filter(
    (tag) => tag === partColumnName || tag.endsWith('_mean') || parseAggregateColumn(tag) !== undefined,
  );
  const message = 'is the name of a column that aggregates have: give the tag another name';
  return [...fixed, ...tags.map((tag) => ({ path: ['tags', tag], message }))];
}

/** What reducing needs of its stream. */
function findReduceProblems({ reduce, raw, table }: RawStream): Problem[] {
  if (!reduce) return [];
  const dropped = { path: ['reduce'], message: 'has no rows to reduce: write raw: ship' };
  const many = {
    path: ['reduce'],
    message: 'needs one table: write a stream for each, instead of table: {…}',
  };
  return [
    ...(raw === 'ship' ? [] : [dropped]),
    ...(tableOf({ name: '', table }) === undefined ? [many] : []),
  ];
}

/** A table of aggregates is of one stream and one width. */
function findAggregateTableProblems(streams: Readonly<Record<string, RawStream>>): Problem[] {
  const keyOf = (database: string, table: string) => `${database}.${table}`;
  const taken = new Set(
    Object.entries(streams).map(([name, raw]) =>
      keyOf(raw.database, tableOf({ name, table: raw.table }) ?? ''),
    ),
  );
  return Object.entries(streams).flatMap(([name, raw]) =>
    readAggregates(tableOf({ name, table: raw.table }) ?? name, raw.aggregate).flatMap(({ table }, index) => {
      const key = keyOf(raw.database, table);
      const isTaken = taken.has(key);
      taken.add(key);
      const message = `writes table ${table}, as something else does: give it a table of its own`;
      return isTaken ? [{ path: [name, 'aggregate', String(index)], message }] : [];
    }),
  );
}

/** Readings are judged by those before them in their table: a table that is reduced is of one stream. */
function findReducedTableProblems(streams: Readonly<Record<string, RawStream>>): Problem[] {
  const all = Object.entries(streams).map(([name, raw]) => ({
    ...{ name, isReduced: raw.reduce !== undefined },
    key: `${raw.database}.${tableOf({ name, table: raw.table }) ?? ''}`,
  }));
  return all.flatMap(({ name, isReduced, key }) => {
    const other = all.find((one) => one.name !== name && one.key === key);
    if (!isReduced || !other) return [];
    const message = `needs a table of its own, and stream ${other.name} writes this one too`;
    return [{ path: [name, 'reduce'], message }];
  });
}

/** Tables of the agent's own, and two streams that declare one field of one table with different types. */
function findSharedTableProblems(streams: Readonly<Record<string, RawStream>>): Problem[] {
  const declared = new Map<string, { readonly stream: string; readonly type: string }>();
  const problems: Problem[] = [];
  for (const [stream, { database, table, fields = {} }] of Object.entries(streams)) {
    if (table && table.names.length > 0) continue;
    const tableName = table?.parts[0] ?? stream;
    if (tableName === lossesTable) {
      const message = 'is the table of the loss ledger, which the agent writes itself: choose another name';
      problems.push({ path: table ? [stream, 'table'] : [stream], message });
    }
    for (const [key, rule] of Object.entries(fields)) {
      const type = typeof rule === 'string' ? rule : rule.type;
      const column = `${database}.${tableName}.${columnNameOf(key)}`;
      const other = declared.get(column);
      if (type !== undefined && other && other.type !== type) {
        const message = `is ${type} here and ${other.type} in stream ${other.stream}, which writes the same table`;
        problems.push({ path: [stream, 'fields', key], message });
      }
      if (type !== undefined) declared.set(column, { stream, type });
    }
  }
  return problems;
}
