/**
 * `edge.yaml` (DESIGN §5.2): one schema validates it, fills the defaults and explains itself in every message.
 */
import { z } from 'zod';
import {
  invalidConfig,
  readConfig,
  resolveBeside,
  type ConfigSource,
} from '@varve/common/config/read-config.js';
import { storeSchema, type StoreConfig } from '@varve/common/config/store-config.js';
import type { ListenAddress } from '@varve/common/config/listen-address.js';
import { bytesPerSecond, durationMs, listenAddress, sizeBytes } from '@varve/common/config/units.js';
import { keyPartPattern } from '@varve/common/contract/names.js';
import { isS3Url } from '@varve/common/store/store-url.js';
import type { BufferConfig } from './buffer/buffer-config.js';
import { bufferSchema } from './buffer/buffer-schema.js';
import type { ClockConfig } from './clock-trust/clock-config.js';
import { clockSchema } from './clock-trust/clock-schema.js';
import type { StreamConfig } from './decode/stream-config.js';
import { shapeStreams, streamsSchema } from './decode/stream-schema.js';
import { isCronExpression } from './ship/upload-gate.js';
import type { SourceConfig } from './source/source-config.js';
import { checkSources, shapeSources, sourcesSchema } from './source/source-schema.js';

export type { SourceConfig } from './source/source-config.js';
export type { StreamConfig } from './decode/stream-config.js';

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

const keyPart = z
  .string({ error: 'write a name, unique in the store, such as press-hall-3; a number in quotes' })
  .regex(keyPartPattern, {
    error: 'use a-z, 0-9, - and _, at most 63 characters, such as press-hall-3',
  });

const shipBytesMin = 64_000;
const shipBytesDefault = 16_000_000;

export const edgeSchema = z.strictObject({
  agent: keyPart,
  data_dir: z.string().min(1).default('./data'),
  sources: sourcesSchema,
  streams: streamsSchema,
  store: storeSchema,
  ship: z
    .strictObject({
      every: durationMs({ minMs: 100, maxMs: 86_400_000 }).default(10_000),
      max_rows: z.int().min(1).max(1_000_000).default(50_000),
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
  const problems = checkSources(raw.agent, source.path, raw.sources);
  if (problems.length > 0) throw invalidConfig(source.path, problems);
  return shapeConfig(raw, source.path);
}

function shapeConfig(raw: RawConfig, configPath: string): EdgeConfig {
  const store = isS3Url(raw.store.url)
    ? raw.store
    : { ...raw.store, url: resolveBeside(configPath, raw.store.url) };
  return {
    agent: raw.agent,
    dataDir: resolveBeside(configPath, raw.data_dir),
    sources: shapeSources(raw.agent, configPath, raw.sources),
    streams: shapeStreams(raw.streams),
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
