/**
 * From logged messages to batches: which streams want a message, and what they make of it.
 *
 * A message goes to every stream whose topic matches. It is refused – and becomes a dead letter, since it has been
 * acknowledged – when no stream wants it, or when one that wants it cannot read it. A stream that finds none of its fields in
 * what another one took does not refuse it.
 *
 * decode (format) → map (stream) → append (tables). Streams of one format share the decoding of a message.
 */
import type { LoggedMessage, StreamChoice } from '../message.js';
import { lossesDestination } from '../ship/losses-batch.js';
import { RowAppender, type OpenBatches } from './append-rows.js';
import { DecodedRows, rowsMax, valuesMax } from './decoded-rows.js';
import { Refusal, type Decode, type RefusalCode } from './decoder.js';
import { decoderOf } from './format.js';
import { MappedRows } from './mapped-rows.js';
import { Mapper, type TopicFacts } from './mapper.js';
import type { StreamConfig } from './stream-config.js';
import { TableRegister, type TableName } from './table-register.js';
import { matchTopic } from './topic-template.js';

/** Topics remembered with their streams; beyond that, memory is worth more than the matching. */
const routesMax = 20_000;

/** Which stream refused a message, and why; null where none wanted it. */
export interface StreamRefusal {
  readonly stream: string | null;
  readonly code: RefusalCode;
  readonly reason: string;
}

/** Hears what becomes of messages, as it does; keeps nothing of what it is handed. */
export interface RouteListener {
  onRows(message: LoggedMessage, stream: string, mapped: MappedRows): void;
  onRefused(message: LoggedMessage, refusals: readonly StreamRefusal[]): void;
}

interface Stream {
  readonly config: StreamConfig;
  readonly decode: Decode;
  readonly mapper: Mapper;
}

interface Route {
  readonly stream: Stream;
  readonly facts: TopicFacts;
}

/** What a dead letter says of refusals, of which `first` is the first. */
export function summarise(first: StreamRefusal, refusals: readonly StreamRefusal[]) {
  return {
    stream: first.stream,
    code: first.code,
    reason: refusals.map(({ reason }) => reason).join('; '),
    refusedBy: refusals.flatMap(({ stream }) => stream ?? []),
  };
}

const none: readonly StreamRefusal[] = [];
const noStream: readonly StreamRefusal[] = [
  { stream: null, code: 'no_stream', reason: 'the topic matches no stream of the configuration' },
];
const tooManyRows = new Refusal(
  'too_many_rows',
  `more than ${rowsMax} rows or ${valuesMax} values in one message: send several`,
);

export class Router {
  readonly #streams: readonly Stream[];
  readonly #register: TableRegister;
  readonly #routes = new Map<string, readonly Route[]>();
  readonly #decoded = new DecodedRows();
  readonly #mapped = new MappedRows();
  readonly #appender = new RowAppender();
  /** Undefined while nobody watches. */
  listener: RouteListener | undefined;

  /** `shipped` are the tables that the agent has made shipments for. */
  constructor(streams: readonly StreamConfig[], shipped: Iterable<TableName> = []) {
    const decoders = new Map<string, Decode>();
    this.#streams = streams.map((config) => {
      const key = JSON.stringify(config.format);
      const decode = decoders.get(key) ?? decoderOf(config.format);
      decoders.set(key, decode);
      return { config, decode, mapper: new Mapper(config) };
    });
    const named = streams.flatMap(({ database, name, table }) => {
      if (table && table.names.length > 0) return [];
      return [{ database, table: table?.parts[0] ?? name }];
    });
    this.#register = new TableRegister([...named, ...shipped], [lossesDestination]);
  }

  /** Adds the message's rows to `batches`. Returns why not, for each stream that could not. */
  route(message: LoggedMessage, batches: OpenBatches): readonly StreamRefusal[] {
    const refusals = this.#route(message, batches);
    if (refusals.length > 0) this.listener?.onRefused(message, refusals);
    return refusals;
  }

  #route(message: LoggedMessage, batches: OpenBatches): readonly StreamRefusal[] {
    const routes = this.#choose(message);
    if (routes.length === 0) return refusalsOfNobody(message.streams);
    let refusals: StreamRefusal[] | undefined;
    let decodedBy: Decode | undefined;
    let undecoded: Refusal | undefined;
    let isTaken = false;
    for (const { stream, facts } of routes) {
      if (stream.decode !== decodedBy) undecoded = this.#decode(message.payload, stream.decode);
      decodedBy = stream.decode;
      const refusal = undecoded ?? this.#append(message, stream, facts, batches);
      if (!refusal) isTaken = true;
      else (refusals ??= []).push({ stream: stream.config.name, code: refusal.code, reason: refusal.reason });
    }
    if (!refusals) return none;
    return isTaken ? refusals.filter(({ code }) => code !== 'no_field') : refusals;
  }

  /** The streams that may make a row of such a message at its arrival time. */
  arrivalStreams(topic: string): string[] {
    return this.#routesOf(topic).flatMap(({ stream: { config } }) =>
      config.time === undefined || config.time === 'own' ? config.name : [],
    );
  }

  #decode(payload: Uint8Array, decode: Decode): Refusal | undefined {
    this.#decoded.clear();
    const refusal = decode(payload, this.#decoded);
    return this.#decoded.isOverfull ? tooManyRows : refusal;
  }

  #append(
    message: LoggedMessage,
    { config, mapper }: Stream,
    facts: TopicFacts,
    batches: OpenBatches,
  ): Refusal | undefined {
    const mapped = this.#mapped;
    mapped.clear();
    const refusal = mapper.map(this.#decoded, facts, message.arrivedUs, mapped);
    if (refusal) return refusal;
    const destination = { stream: config, columns: mapper, batches, register: this.#register };
    const full = this.#appender.append(mapped, destination);
    if (!full) this.listener?.onRows(message, config.name, mapped);
    return full;
  }

  #choose({ topic, streams }: LoggedMessage): readonly Route[] {
    const routes = this.#routesOf(topic);
    if (!streams) return routes;
    const { onlyFor, notFor = [] } = streams;
    if (notFor === 'all') return [];
    return routes.filter(({ stream: { config } }) => {
      return onlyFor?.includes(config.name) !== false && !notFor.includes(config.name);
    });
  }

  #routesOf(topic: string): readonly Route[] {
    const known = this.#routes.get(topic);
    if (known) return known;
    const routes = this.#streams.flatMap((stream) => {
      const levels = matchTopic(stream.config.topic, topic);
      return levels ? [{ stream, facts: stream.mapper.factsOf(levels) }] : [];
    });
    if (this.#routes.size >= routesMax) this.#routes.clear();
    this.#routes.set(topic, routes);
    return routes;
  }
}

/** Where no stream is left for a message. One whose letter is, or was, elsewhere has been refused already. */
function refusalsOfNobody(choice: StreamChoice | undefined): readonly StreamRefusal[] {
  if (!choice) return noStream;
  const { onlyFor = [], notFor = [] } = choice;
  const [gone] = notFor === 'all' ? [] : onlyFor.filter((name) => !notFor.includes(name));
  if (gone === undefined) return none;
  const reason = `stream "${gone}", which refused it before, is not there any more or takes other topics`;
  return [{ stream: gone, code: 'no_stream', reason }];
}
