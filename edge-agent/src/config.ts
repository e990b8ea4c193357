/**
 * `edge.yaml` (DESIGN §5.2): one schema validates it, fills the defaults and explains itself in every message.
 */
import { z } from 'zod';
import {
  invalidConfig,
  readConfig,
  resolveBeside,
  type ConfigProblem,
  type ConfigSource,
} from '@varve/common/config/read-config.js';
import { isS3Url, storeSchema, type StoreConfig } from '@varve/common/config/store-config.js';
import {
  bytesPerSecond,
  durationMs,
  listenAddress,
  sizeBytes,
  type ListenAddress,
} from '@varve/common/config/units.js';
import { partColumnName } from '@varve/common/contract/aggregate.js';
import { fieldTypes, type FieldType } from '@varve/common/contract/columns.js';
import { identifierPattern, isIdentifier, keyPartPattern } from '@varve/common/contract/names.js';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import {
  aggregatesSchema,
  rawSchema,
  readAggregates,
  type AggregateConfig,
  type RawChoice,
} from './aggregate/aggregate-config.js';
import { bufferSchema, type BufferConfig } from './buffer/buffer-config.js';
import { clockSchema, type ClockConfig } from './clock-trust/clock-config.js';
import { timeUnits, type TimeUnit } from './decode/time.js';
import { parseTopicTemplate, type TopicTemplate } from './decode/topic-template.js';
import { lossesTable } from './ship/losses-batch.js';
import { isCronExpression } from './ship/upload-gate.js';
import { isTopicFilter } from './source/topic-filter.js';

export interface SourceConfig {
  readonly name: string;
  /** With user name and password, if it has them: never log it, log `brokerName`. */
  readonly url: string;
  readonly brokerName: string;
  readonly topics: readonly string[];
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly keepaliveSeconds: number;
  readonly sessionExpirySeconds: number;
  /** How many unacknowledged QoS 1 messages the broker may send (MQTT 5, §3.1.2.11.3). */
  readonly receiveMaximum: number;
}

export interface StreamConfig {
  /** Name of the stream and of the table it writes. */
  readonly name: string;
  readonly database: string;
  readonly topic: TopicTemplate;
  readonly format: 'json';
  /** Absent: arrival time. */
  readonly time: { readonly path: string; readonly unit: TimeUnit } | undefined;
  /** Absent: every number, boolean and string that is not a tag or the time. */
  readonly fields: ReadonlyMap<string, FieldType> | undefined;
  /** When messages must be dropped, those of the lowest go first. */
  readonly priority: number;
  readonly raw: RawChoice;
  readonly aggregates: readonly AggregateConfig[];
}

export interface GroupLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
  /** How long a message may wait for company before its fsync. */
  readonly delayMs: number;
}

export interface EdgeConfig {
  readonly agent: string;
  readonly dataDir: string;
  readonly sources: readonly SourceConfig[];
  readonly streams: readonly StreamConfig[];
  readonly store: StoreConfig;
  readonly ship: {
    readonly everyMs: number;
    readonly rowsMax: number;
    /** Of a window in memory; the files made of it are smaller. */
    readonly bytesMax: number;
    /** Uploads stay within this rate on average; absent: as fast as it goes. */
    readonly bytesPerSecondMax: number | undefined;
    /** After an outage newest data goes first, and the backlog follows in its own lane. */
    readonly liveFirst: boolean;
    /** Cron expression of the times at which uploads begin; absent: at once. */
    readonly schedule: string | undefined;
  };
  readonly group: GroupLimits;
  readonly buffer: BufferConfig;
  readonly clock: ClockConfig;
  readonly listen: ListenAddress;
}

const mqttUrl = z
  .url({
    protocol: /^(mqtts?|wss?)$/,
    error: 'write a broker URL such as mqtt://127.0.0.1:1883, or mqtts://, ws://, wss://',
  })
  .transform((text) => new URL(text));

const sourceSchema = z.strictObject({
  mqtt: mqttUrl,
  topics: z
    .array(
      z.string().refine(isTopicFilter, {
        error: 'is not an MQTT topic filter: + stands for one whole level, # only for the last',
      }),
      { error: 'list the topics to subscribe to, such as ["plant/#"]' },
    )
    .min(1, 'list at least one topic, such as ["plant/#"]')
    .max(100, 'list at most 100 topics'),
  client_id: z.string().min(1).max(64).optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  keepalive: durationMs({ minMs: 1_000, maxMs: 65_535_000 }).default(60_000),
  session_expiry: durationMs({ minMs: 1_000, maxMs: 4_294_967_000_000 }).default(14 * 86_400_000),
  receive_maximum: z.int().min(1).max(65_535).default(1_000),
});

const streamSchema = z.strictObject({
  topic: z.string().transform((text, context): TopicTemplate => {
    const parsed = parseTopicTemplate(text);
    if (typeof parsed !== 'string') return parsed;
    context.addIssue({ code: 'custom', message: parsed });
    return z.NEVER;
  }),
  format: z.literal('json', { error: 'write json: other formats are not there yet' }),
  database: z
    .string()
    .regex(identifierPattern, 'use a-z, 0-9 and _, not starting with a digit')
    .default(defaultDatabase),
  time: z
    .strictObject({
      path: z.string().min(1, 'write the name of the member that holds the time, such as ts'),
      unit: z.enum(timeUnits, { error: `write one of ${timeUnits.join(', ')}` }),
    })
    .optional(),
  fields: z
    .record(z.string(), z.enum(fieldTypes, { error: `write one of ${fieldTypes.join(', ')}` }))
    .refine(
      (fields) => Object.keys(fields).length > 0,
      'list at least one field, or leave `fields` out to take them all',
    )
    .optional(),
  raw: rawSchema,
  aggregate: aggregatesSchema,
  priority: z.int('write a whole number: streams with the lowest lose messages first').default(0),
});

const identifierKey = z.string().refine(isIdentifier, {
  error: 'is not a table name: use a-z, 0-9 and _, not starting with a digit, at most 63 characters',
});

const keyPart = z.string({ error: 'give the agent a name, unique in the store' }).regex(keyPartPattern, {
  error: 'use a-z, 0-9, - and _, at most 63 characters, such as press-hall-3',
});

const shipBytesMin = 64_000;
const shipBytesDefault = 16_000_000;

export const edgeSchema = z.strictObject({
  agent: keyPart,
  data_dir: z.string().min(1).default('./data'),
  sources: z
    .record(z.string().regex(keyPartPattern, 'use a-z, 0-9, - and _ in the name of a source'), sourceSchema, {
      error: ({ code }) =>
        code === 'invalid_key'
          ? undefined
          : 'name at least one source, such as plant: { mqtt: mqtt://127.0.0.1:1883, topics: ["plant/#"] }',
    })
    .refine((sources) => Object.keys(sources).length > 0, 'name at least one source'),
  streams: z
    .record(identifierKey, streamSchema, {
      error:
        'name at least one stream, such as environment: { topic: "plant/{device}/environment", format: json }',
    })
    .refine((streams) => Object.keys(streams).length > 0, 'name at least one stream'),
  store: storeSchema,
  ship: z
    .strictObject({
      every: durationMs({ minMs: 100, maxMs: 86_400_000 }).default(10_000),
      max_rows: z.int().min(1).max(1_000_000).default(100_000),
      max_bytes: sizeBytes({ minBytes: shipBytesMin }).optional(),
      live_first: z.boolean({ error: 'write true or false' }).default(true),
      bandwidth: bytesPerSecond({ minBytes: 1_000 }).optional(),
      schedule: z
        .string()
        .refine(isCronExpression, {
          error: 'is no cron expression: write one such as "0 2 * * *" for 02:00 every day',
        })
        .optional(),
    })
    .prefault({}),
  log: z
    .strictObject({
      group: z
        .strictObject({
          max_messages: z.int().min(1).max(100_000).default(2_000),
          max_size: sizeBytes({ minBytes: 1_024 }).default(1_000_000),
          max_delay: durationMs({ minMs: 0, maxMs: 10_000 }).default(50),
        })
        .prefault({}),
    })
    .prefault({}),
  buffer: bufferSchema,
  clock: clockSchema,
  status: z.strictObject({ listen: listenAddress().default({ host: '127.0.0.1', port: 8182 }) }).prefault({}),
});

type RawConfig = z.infer<typeof edgeSchema>;

/** @throws Failure `config_unreadable`, `config_invalid` (every problem, with line, path and remedy) */
export async function readEdgeConfig(source: ConfigSource): Promise<EdgeConfig> {
  const raw = await readConfig(source, edgeSchema);
  const problems = crossCheck(raw);
  if (problems.length > 0) throw invalidConfig(source.path, problems);
  return shapeConfig(raw, source.path);
}

function crossCheck(raw: RawConfig): ConfigProblem[] {
  return [...checkClientIds(raw), ...checkStreamNames(raw), ...checkAggregates(raw), ...checkTables(raw)];
}

function checkClientIds(raw: RawConfig): ConfigProblem[] {
  const clientIds = Object.entries(raw.sources).map(([name, source]) => ({
    name,
    session: `${source.mqtt.host} ${source.client_id ?? name}`,
  }));
  return clientIds
    .filter(({ session }, index) => clientIds.findIndex((other) => other.session === session) < index)
    .map(({ name }) => ({
      line: undefined,
      path: `sources.${name}.client_id`,
      message: 'is used by another source on this broker, and each would throw the other out: write another',
    }));
}

function checkAggregates({ streams }: RawConfig): ConfigProblem[] {
  return Object.entries(streams).flatMap(([name, { raw, aggregate, topic }]) => {
    const path = `streams.${name}`;
    const problems: ConfigProblem[] = [];
    if (raw === 'drop' && aggregate.length === 0)
      problems.push({
        ...{ line: undefined, path: `${path}.raw` },
        message: 'drops the rows, and no aggregate is left: write aggregate: [{ every: 10s }], or raw: ship',
      });
    if (aggregate.length > 0 && topic.tags.includes(partColumnName))
      problems.push({
        ...{ line: undefined, path: `${path}.topic` },
        message: `{${partColumnName}} is the name of a column of every aggregate: write another name`,
      });
    return problems;
  });
}

/** Streams may share a table; a table of aggregates is of one stream and one width. */
function checkTables({ streams }: RawConfig): ConfigProblem[] {
  const taken = new Set(Object.entries(streams).map(([name, { database }]) => `${database}.${name}`));
  return Object.entries(streams).flatMap(([name, { database, aggregate }]) =>
    readAggregates(name, aggregate).flatMap(({ table }, index): ConfigProblem[] => {
      const key = `${database}.${table}`;
      const isTaken = taken.has(key);
      taken.add(key);
      const message = `writes table ${table}, as something else does: give it a table of its own`;
      return isTaken ? [{ line: undefined, path: `streams.${name}.aggregate.${index}`, message }] : [];
    }),
  );
}

function checkStreamNames({ streams }: RawConfig): ConfigProblem[] {
  if (!(lossesTable in streams)) return [];
  const message = 'is the table of the loss ledger, which the agent writes itself: choose another name';
  return [{ line: undefined, path: `streams.${lossesTable}`, message }];
}

function shapeConfig(raw: RawConfig, configPath: string): EdgeConfig {
  const store = isS3Url(raw.store.url)
    ? raw.store
    : { ...raw.store, url: resolveBeside(configPath, raw.store.url) };
  return {
    agent: raw.agent,
    dataDir: resolveBeside(configPath, raw.data_dir),
    sources: Object.entries(raw.sources).map(([name, source]) => shapeSource(raw.agent, name, source)),
    streams: Object.entries(raw.streams).map(([name, stream]) => ({
      name,
      database: stream.database,
      topic: stream.topic,
      format: stream.format,
      time: stream.time,
      fields: stream.fields ? new Map(Object.entries(stream.fields)) : undefined,
      priority: stream.priority,
      raw: stream.raw,
      aggregates: readAggregates(name, stream.aggregate),
    })),
    store,
    ship: shapeShip(raw.ship),
    group: {
      messagesMax: raw.log.group.max_messages,
      bytesMax: raw.log.group.max_size,
      delayMs: raw.log.group.max_delay,
    },
    buffer: raw.buffer,
    clock: raw.clock,
    listen: raw.status.listen,
  };
}

function shapeShip({
  every,
  max_rows,
  max_bytes,
  bandwidth,
  live_first,
  schedule,
}: RawConfig['ship']): EdgeConfig['ship'] {
  return {
    everyMs: every,
    rowsMax: max_rows,
    bytesMax: max_bytes ?? planShipBytesMax(bandwidth),
    bytesPerSecondMax: bandwidth,
    liveFirst: live_first,
    schedule,
  };
}

/** Over a narrow line shipments are small: a minute's worth at most, so that the pause after one is no longer. */
export function planShipBytesMax(bytesPerSecondMax: number | undefined): number {
  if (bytesPerSecondMax === undefined) return shipBytesDefault;
  return Math.max(shipBytesMin, Math.min(shipBytesDefault, bytesPerSecondMax * 60));
}

function shapeSource(agent: string, name: string, raw: RawConfig['sources'][string]): SourceConfig {
  const url = new URL(raw.mqtt);
  const brokerName = `${url.protocol}//${url.host}`;
  const username = raw.username ?? (decodeURIComponent(url.username) || undefined);
  const password = raw.password ?? (decodeURIComponent(url.password) || undefined);
  url.username = '';
  url.password = '';
  return {
    name,
    url: url.href,
    brokerName,
    topics: raw.topics,
    clientId: raw.client_id ?? `varve-${agent}-${name}`,
    username,
    password,
    keepaliveSeconds: Math.round(raw.keepalive / 1_000),
    sessionExpirySeconds: Math.round(raw.session_expiry / 1_000),
    receiveMaximum: raw.receive_maximum,
  };
}
