/**
 * `edge-decode`: what a message costs between log and batch, on one core, for each format: decoding alone, and all of it
 * (`Router.route`: decode, map, append), that with windows of two widths, and that reduced (a deadband, a swinging door, of two
 * fields), written every 10,000 messages. Beside them, in turns with them, `JSON.parse` alone on the JSON messages.
 *
 * The readings are the same in all formats: a time and four fields of a device, by themselves or ten to a message.
 */
import { Aggregation } from '@varve/edge-agent/aggregate/aggregation.js';
import type { OpenBatches } from '@varve/edge-agent/decode/append-rows.js';
import { DecodedRows } from '@varve/edge-agent/decode/decoded-rows.js';
import { decoderOf, type FormatConfig } from '@varve/edge-agent/decode/format.js';
import { Router } from '@varve/edge-agent/decode/router.js';
import type { StreamConfig } from '@varve/edge-agent/decode/stream-config.js';
import { shapeStreams, streamsSchema } from '@varve/edge-agent/decode/stream-schema.js';
import type { LoggedMessage } from '@varve/edge-agent/message.js';
import { noReduction, Reduction } from '@varve/edge-agent/reduce/reduction.js';
import { Window } from '@varve/edge-agent/ship/window.js';
import type { BenchOptions } from './bench-run.js';
import type { Report } from './report.js';
import { median } from './statistics.js';

interface Reading {
  readonly ts: number;
  readonly temperature: number;
  readonly humidity: number;
  readonly count: number;
  readonly state: string;
}

interface Case {
  readonly name: string;
  readonly format: FormatConfig;
  readonly readings: number;
  readonly write: (readings: readonly Reading[]) => string;
}

const names = ['ts', 'temperature', 'humidity', 'count', 'state'] as const;
const toCells = (reading: Reading) => names.map((name) => reading[name]).join(',');
const toLine = ({ ts, temperature, humidity, count, state }: Reading) =>
  `m temperature=${temperature},humidity=${humidity},count=${count}i,state="${state}" ${ts}000000`;

const cases: readonly Case[] = [
  { name: 'json', format: 'json', readings: 1, write: ([reading]) => JSON.stringify(reading) },
  {
    name: 'json, nested',
    format: 'json',
    readings: 1,
    write: ([{ ts, ...data } = noReading]) => JSON.stringify({ ts, data }),
  },
  { name: 'value', format: 'value', readings: 1, write: ([reading]) => String(reading?.temperature) },
  {
    name: 'csv',
    format: { type: 'csv', columns: names },
    readings: 1,
    write: (all) => all.map(toCells).join('\n'),
  },
  { name: 'line_protocol', format: 'line_protocol', readings: 1, write: (all) => all.map(toLine).join('\n') },
  { name: 'json, an array', format: 'json', readings: 10, write: (all) => JSON.stringify(all) },
  {
    name: 'json, lines',
    format: 'json',
    readings: 10,
    write: (all) => all.map((reading) => JSON.stringify(reading)).join('\n'),
  },
  {
    name: 'csv, ten rows',
    format: { type: 'csv', columns: names },
    readings: 10,
    write: (all) => all.map(toCells).join('\n'),
  },
  {
    name: 'line_protocol, ten lines',
    format: 'line_protocol',
    readings: 10,
    write: (all) => all.map(toLine).join('\n'),
  },
];
const noReading: Reading = { ts: 0, temperature: 0, humidity: 0, count: 0, state: '' };

const messagesPerRun = 20_000;
const messagesPerShipment = 10_000;
const beginsMs = 1_795_300_046_309;
const topics = 60;

export function benchEdgeDecode({ runs, note }: BenchOptions): Promise<Report> {
  const samples = new Map<string, number[]>();
  const keep = (name: string, ns: number) => samples.set(name, [...(samples.get(name) ?? []), ns]);
  // The first run warms up.
  for (let run = 0; run <= runs; run++) {
    note(`edge-decode: run ${run} of ${runs}`);
    for (const one of cases) {
      const measured = measure(one);
      if (run > 0) for (const [what, ns] of Object.entries(measured)) keep(`${one.name} ${what}`, ns);
    }
  }
  const nsOf = (one: Case, what: string) => median(samples.get(`${one.name} ${what}`) ?? []);
  const rows = cases.map((one) => {
    const decodeNs = nsOf(one, 'decode');
    const routeNs = nsOf(one, 'route');
    const parseNs = nsOf(one, 'parse');
    const windowsNs = nsOf(one, 'windows');
    const deadbandNs = nsOf(one, 'deadband');
    const doorNs = nsOf(one, 'door');
    return [
      one.name,
      one.readings,
      parseNs / 1e3,
      decodeNs / 1e3,
      routeNs / 1e3,
      windowsNs / 1e3,
      deadbandNs / 1e3,
      doorNs / 1e3,
      1e9 / decodeNs,
      1e9 / routeNs,
      1e9 / windowsNs,
    ];
  });
  return Promise.resolve({
    bench: 'edge-decode',
    tables: [
      {
        title: `medians of ${runs} runs of ${messagesPerRun} messages, processor time per message`,
        columns: [
          'format',
          'readings',
          'JSON.parse, µs',
          'decode, µs',
          'to batch, µs',
          'with windows, µs',
          'with deadband, µs',
          'with swinging door, µs',
          'decoded/s',
          'to batch/s',
          'with windows/s',
        ],
        rows,
      },
    ],
    findings: ['JSON.parse is of the same readings as JSON, decoded from UTF-8, in the same run.'],
  });
}

type Measured = 'parse' | 'decode' | 'route' | 'windows' | 'deadband' | 'door';

/** Nanoseconds per message. */
function measure({ format, readings, write }: Case): Record<Measured, number> {
  const messages = makeMessages(readings);
  const written = messages.map((message) => Buffer.from(write(message)));
  const asJson = messages.map((message) =>
    Buffer.from(JSON.stringify(readings === 1 ? message[0] : message)),
  );
  return {
    parse: measureParse(asJson),
    decode: measureDecode(format, written),
    route: measureRoute(format, written),
    windows: measureWindows(format, written),
    deadband: measureReduction(format, written, { deadband: 1 }),
    door: measureReduction(format, written, { swinging_door: 1 }),
  };
}

function makeMessages(readings: number): Reading[][] {
  return Array.from({ length: messagesPerRun }, (_, index) =>
    Array.from({ length: readings }, (__, part) => ({
      ts: beginsMs + index * readings + part,
      temperature: Math.round(2_000 + 500 * Math.sin(index / 100 + part)) / 100,
      humidity: Math.round(450 + 100 * Math.cos(index / 70)) / 10,
      count: index,
      state: index % 7 === 0 ? 'stopped' : 'running',
    })),
  );
}

function measureParse(payloads: readonly Buffer[]): number {
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  let found = 0;
  const started = process.cpuUsage();
  for (const payload of payloads) if (JSON.parse(utf8.decode(payload))) found++;
  return perMessage(started, found);
}

function measureDecode(format: FormatConfig, payloads: readonly Buffer[]): number {
  const decode = decoderOf(format);
  const rows = new DecodedRows();
  let found = 0;
  const started = process.cpuUsage();
  for (const payload of payloads) {
    rows.clear();
    if (!decode(payload, rows)) found++;
  }
  return perMessage(started, found);
}

function streamsOf(format: FormatConfig, more: object = {}): StreamConfig[] {
  const time = format === 'value' || format === 'line_protocol' ? {} : { time: { path: 'ts', unit: 'ms' } };
  const written = { topic: 'plant/{site}/{device}/environment', format, ...time, ...more };
  return shapeStreams(streamsSchema.parse({ environment: written }));
}

function messagesOf(payloads: readonly Buffer[]): LoggedMessage[] {
  return payloads.map((payload, index) => ({
    ...{ seq: index + 1, source: 'plant', packetId: 0, payload },
    ...{ arrivedMs: beginsMs + index, arrivedUs: (beginsMs + index) * 1_000 },
    topic: `plant/site-${index % 3}/device-${index % topics}/environment`,
  }));
}

function measureRoute(format: FormatConfig, payloads: readonly Buffer[]): number {
  const router = new Router(streamsOf(format));
  const batches: OpenBatches = new Map();
  const messages = messagesOf(payloads);
  let found = 0;
  const started = process.cpuUsage();
  for (const message of messages) if (router.route(message, batches).length === 0) found++;
  return perMessage(started, found);
}

function measureWindows(format: FormatConfig, payloads: readonly Buffer[]): number {
  const streams = streamsOf(format, { aggregate: [{ every: '10s' }, { every: '1m' }] });
  const router = new Router(streams);
  const opened = { closedMs: new Map<string, number>(), openRanges: [] };
  const aggregation = new Aggregation({ streams, opened, openBytesMax: 64e6 });
  const messages = messagesOf(payloads);
  let window = new Window(0, 1);
  let found = 0;
  const started = process.cpuUsage();
  for (const message of messages) {
    window.take(message, router);
    found++;
    if (found % messagesPerShipment > 0) continue;
    aggregation.plan('live', window, 'bench/1', beginsMs + found).accept();
    window = new Window(0, found + 1);
  }
  return perMessage(started, found);
}

function measureReduction(format: FormatConfig, payloads: readonly Buffer[], rule: object): number {
  const field = format === 'value' ? { value: rule } : { temperature: rule, humidity: rule };
  const streams = streamsOf(format, { reduce: { heartbeat: '1m', fields: field } });
  const router = new Router(streams);
  const reduction = new Reduction({ streams, opened: noReduction });
  const messages = messagesOf(payloads);
  let window = new Window(0, 1);
  let found = 0;
  const started = process.cpuUsage();
  for (const message of messages) {
    window.take(message, router);
    found++;
    if (found % messagesPerShipment > 0) continue;
    reduction.plan('live', window, found + 1, beginsMs + found).accept();
    window = new Window(0, found + 1);
  }
  return perMessage(started, found);
}

function perMessage(started: NodeJS.CpuUsage, found: number): number {
  const { user, system } = process.cpuUsage(started);
  if (found !== messagesPerRun) throw new Error(`${messagesPerRun - found} messages were refused`);
  return ((user + system) * 1_000) / messagesPerRun;
}
