/** Streams as they are written in `edge.yaml`, and what they make of messages. */
import { strict as assert } from 'node:assert';
import type { BatchColumns } from '../batch/table-batch.js';
import type { OpenBatches } from './append-rows.js';
import { Router, type StreamRefusal } from './router.js';
import type { StreamConfig } from './stream-config.js';
import { shapeStreams, streamsSchema } from './stream-schema.js';
import type { TableName } from './table-register.js';

/** What is left out: stream `environment`, topic `plant/{device}`, format json. */
export function streamOf(written: object = {}, name = 'environment'): StreamConfig {
  const [stream] = shapeStreams(
    streamsSchema.parse({ [name]: { topic: 'plant/{device}', format: 'json', ...written } }),
  );
  assert(stream);
  return stream;
}

export interface Sent {
  readonly topic?: string;
  readonly payload: string | Uint8Array;
  readonly arrivedMs?: number;
}

export interface Routed {
  /** By table. */
  readonly tables: Readonly<Record<string, BatchColumns>>;
  readonly refusals: readonly StreamRefusal[];
}

/** Messages to `plant/press-1`, at 1 s, unless they say otherwise. */
export function routeAll(
  streams: readonly StreamConfig[],
  messages: readonly (string | Uint8Array | Sent)[],
  shipped: readonly TableName[] = [],
): Routed {
  const router = new Router(streams, shipped);
  const batches: OpenBatches = new Map();
  const refusals = messages.flatMap((message, index) => {
    const sent: Sent =
      typeof message === 'string' || message instanceof Uint8Array ? { payload: message } : message;
    const { topic = 'plant/press-1', payload, arrivedMs = 1_000 } = sent;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const place = { seq: index + 1, source: 'plant', packetId: 0 };
    const arrivedUs = arrivedMs * 1_000;
    return router.route({ ...place, topic, payload: bytes, arrivedMs, arrivedUs }, batches);
  });
  const tables = Object.fromEntries([...batches.values()].map(({ table, batch }) => [table, batch.finish()]));
  return { tables, refusals };
}

/** Columns as `name:type` → values, null where a row has none; times in microseconds, tags without a type. */
export function columnsOf(batch: BatchColumns | undefined): Record<string, unknown[]> {
  if (!batch) return {};
  const valuesOf = ({ type, values, validity, texts, longs }: BatchColumns['fields'][number]) =>
    Array.from({ length: batch.rowCount }, (_, row) => {
      if (((validity[row >> 3] ?? 0) & (1 << (row & 7))) === 0) return null;
      return type === 'string' ? texts[values[row] ?? 0] : (longs?.[row] ?? values[row]);
    });
  return {
    ...Object.fromEntries(batch.tags.map((tag) => [tag.name, valuesOf(tag)])),
    ...Object.fromEntries(batch.fields.map((field) => [`${field.name}:${field.type}`, valuesOf(field)])),
  };
}
