/**
 * From logged messages to batches: which streams want a message, and what they make of it.
 *
 * A message goes to every stream whose topic matches. It is refused – and becomes a dead letter, since it has been
 * acknowledged – when no stream wants it, or when one that wants it cannot read it.
 */
import { strict as assert } from 'node:assert';
import type { StreamConfig } from '../config.js';
import type { LoggedMessage } from '../message.js';
import { TableBatch } from '../batch/table-batch.js';
import type { Decode, RefusalCode } from './decoder.js';
import { jsonDecoder } from './json.js';
import { matchTopic } from './topic-template.js';

/** Topics remembered with their streams; beyond that, memory is worth more than the matching. */
const routesMax = 20_000;

/** Which stream refused a message, and why; null where none wanted it. */
export interface StreamRefusal {
  readonly stream: string | null;
  readonly code: RefusalCode;
  readonly reason: string;
}

interface Stream {
  /** `database.table`. */
  readonly key: string;
  readonly config: StreamConfig;
  readonly decode: Decode;
}

interface Route {
  readonly stream: Stream;
  readonly tagValues: readonly string[];
}

/** The open batch of every table, by `database.table`. */
export type OpenBatches = Map<string, { readonly stream: StreamConfig; readonly batch: TableBatch }>;

export class Router {
  readonly #streams: readonly Stream[];
  readonly #routes = new Map<string, readonly Route[]>();

  constructor(streams: readonly StreamConfig[]) {
    this.#streams = streams.map((config) => ({
      ...{ key: `${config.database}.${config.name}`, config },
      decode: decoderOf(config),
    }));
  }

  /** Adds the message's rows to `batches`. Returns why not, for each stream that could not. */
  route(message: LoggedMessage, batches: OpenBatches): StreamRefusal[] {
    const routes = this.#routesOf(message.topic);
    if (routes.length === 0)
      return [
        { stream: null, code: 'no_stream', reason: 'the topic matches no stream of the configuration' },
      ];
    const refusals: StreamRefusal[] = [];
    for (const { stream, tagValues } of routes) {
      const { payload, arrivedMs } = message;
      const refusal = stream.decode({ payload, arrivedMs, tagValues }, batchOf(batches, stream));
      if (refusal) refusals.push({ stream: stream.config.name, code: refusal.code, reason: refusal.reason });
    }
    return refusals;
  }

  /** The streams that make a row of such a message at its arrival time. */
  arrivalStreams(topic: string): string[] {
    return this.#routesOf(topic).flatMap(({ stream: { config } }) => (config.time ? [] : config.name));
  }

  #routesOf(topic: string): readonly Route[] {
    const known = this.#routes.get(topic);
    if (known) return known;
    const routes = this.#streams.flatMap((stream) => {
      const tagValues = matchTopic(stream.config.topic, topic);
      return tagValues ? [{ stream, tagValues }] : [];
    });
    if (this.#routes.size >= routesMax) this.#routes.clear();
    this.#routes.set(topic, routes);
    return routes;
  }
}

function decoderOf({ format, time, fields, topic }: StreamConfig): Decode {
  assert.equal(format, 'json');
  return jsonDecoder({ time, fields, tags: new Set(topic.tags) });
}

function batchOf(batches: OpenBatches, { key, config }: Stream): TableBatch {
  let open = batches.get(key);
  if (!open) {
    const { topic, fields } = config;
    open = {
      stream: config,
      batch: new TableBatch({ tags: topic.tags, declaredTypes: fields ?? new Map() }),
    };
    batches.set(key, open);
  }
  return open.batch;
}
