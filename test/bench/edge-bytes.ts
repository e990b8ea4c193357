/**
 * `edge-bytes`: what a reading takes in the files that are shipped, and what error that buys, for each way to reduce. Through the
 * agent's own code: router, reduction, aggregation, encoder.
 *
 * The readings are those of the Numenta Anomaly Benchmark where `VARVE_TEST_NAB` names its machine temperatures, else of a
 * seeded random walk; one a second, some milliseconds late, 10,000 to a window.
 */
import { formatShipmentMetadata } from '@varve/common/contract/shipment.js';
import { Aggregation } from '@varve/edge-agent/aggregate/aggregation.js';
import type { BatchColumns } from '@varve/edge-agent/batch/table-batch.js';
import { Router } from '@varve/edge-agent/decode/router.js';
import { shapeStreams, streamsSchema } from '@varve/edge-agent/decode/stream-schema.js';
import { encodeShipment } from '@varve/edge-agent/encode/encode-shipment.js';
import { noReduction, Reduction } from '@varve/edge-agent/reduce/reduction.js';
import { Window } from '@varve/edge-agent/ship/window.js';
import { nabReadings } from '../readings.js';
import { seededRandom } from '../torture/seeded-random.js';
import type { BenchOptions } from './bench-run.js';
import type { Report } from './report.js';

interface Point {
  readonly timeUs: number;
  readonly value: number;
}

interface Variant {
  readonly name: string;
  readonly stream: object;
  /** How readings are told from what was shipped. */
  readonly shape: 'step' | 'line';
}

const reduceBy = (rule: object) => ({ reduce: { heartbeat: '10m', fields: { value: rule } } });
const windows = (every: string) => ({ raw: 'drop', aggregate: [{ every, lateness: '0s' }] });
const variants: readonly Variant[] = [
  { name: 'raw', stream: {}, shape: 'step' },
  { name: 'snap 1s', stream: { time: { path: 'ts', unit: 'ms', snap: '1s' } }, shape: 'step' },
  { name: 'round 2', stream: { fields: { value: { round: 2 } } }, shape: 'step' },
  { name: 'decimals 2', stream: { fields: { value: { decimals: 2 } } }, shape: 'step' },
  { name: 'deadband 0.5', stream: reduceBy({ deadband: 0.5 }), shape: 'step' },
  { name: 'deadband 2', stream: reduceBy({ deadband: 2 }), shape: 'step' },
  { name: 'swinging door 0.5', stream: reduceBy({ swinging_door: 0.5 }), shape: 'line' },
  { name: 'swinging door 2', stream: reduceBy({ swinging_door: 2 }), shape: 'line' },
  { name: 'windows of 10 s', stream: windows('10s'), shape: 'step' },
  { name: 'windows of 1 m', stream: windows('1m'), shape: 'step' },
];
const rowsPerWindow = 10_000;
const beginMs = Date.UTC(2026, 0, 1);

export function benchEdgeBytes({ note }: BenchOptions): Promise<Report> {
  const { source, points } = readPoints();
  const rows = variants.map((variant) => {
    note(`edge-bytes: ${variant.name}`);
    const { bytes, shipped } = ship(variant.stream, points);
    const errors = compare(points, shipped, variant.shape);
    return [variant.name, bytes / points.length, shipped.length / points.length, ...errors];
  });
  return Promise.resolve({
    bench: 'edge-bytes',
    tables: [
      {
        title: `${points.length} readings of ${source}`,
        columns: [
          'shipped',
          'bytes/reading',
          'rows/reading',
          'error, max',
          'error, mean',
          'avg(), error',
          'weighted mean, error',
        ],
        rows,
      },
    ],
    findings: [
      'Errors in units of the value. Windows of aggregates are told by their mean, at their beginning.',
    ],
  });
}

function readPoints(): { source: string; points: Point[] } {
  const random = seededRandom(1);
  const nab = nabReadings()?.map(({ value }) => value);
  const values = nab ?? walk(random);
  const points = values.map((value, index) => ({
    timeUs: (beginMs + index * 1_000 + Math.floor(random() * 20)) * 1_000,
    value,
  }));
  return { source: nab ? 'NAB, machine temperature' : 'a random walk', points };
}

function walk(random: () => number): number[] {
  let value = 80;
  return Array.from({ length: 20_000 }, () => (value += (random() - 0.5) * 2));
}

function ship(written: object, points: readonly Point[]) {
  const streams = shapeStreams(
    streamsSchema.parse({
      readings: { topic: '{device}', format: 'json', time: { path: 'ts', unit: 'ms' }, ...written },
    }),
  );
  const router = new Router(streams);
  const reduction = new Reduction({ streams, opened: noReduction });
  const opened = { closedMs: new Map<string, number>(), openRanges: [] };
  const aggregation = new Aggregation({ streams, opened, openBytesMax: 1e9 });
  const shipped: Point[] = [];
  let bytes = 0;
  for (let first = 0; first < points.length; first += rowsPerWindow) {
    const window = new Window(0, first + 1);
    const some = points.slice(first, first + rowsPerWindow);
    for (const [index, { timeUs, value }] of some.entries()) {
      const payload = Buffer.from(JSON.stringify({ ts: timeUs / 1_000, value }));
      const place = { seq: first + index + 1, source: 'bench', packetId: 0, arrivedMs: 0, arrivedUs: 0 };
      window.take({ topic: 'press', payload, ...place }, router);
    }
    const isLast = first + rowsPerWindow >= points.length;
    const nowMs = (some.at(-1)?.timeUs ?? 0) / 1_000 + (isLast ? 86_400_000 : 0);
    const reduced = reduction.plan('live', window, window.lastSeq + 1, nowMs);
    reduced.accept();
    const aggregates = aggregation.plan('live', window, 'bench', nowMs);
    aggregates.accept();
    const raw = [...window.batches.values()].filter((open) => !aggregation.isDropped(open));
    const batches = [
      ...raw.flatMap((open) => reduced.batches.get('main.readings')?.columns ?? open.batch.finish()),
      ...aggregates.outputs.map(({ columns }) => columns),
    ];
    for (const columns of batches) {
      if (columns.rowCount === 0) continue;
      shipped.push(...pointsOf(columns));
      bytes += sizeOf(columns);
    }
  }
  return { bytes, shipped: shipped.sort((a, b) => a.timeUs - b.timeUs) };
}

function sizeOf(columns: BatchColumns): number {
  const { rowCount, originalNames, decimals } = columns;
  const way = {
    agent: 'bench',
    epoch: '20260101t000000z-1',
    lane: 'live',
    database: 'main',
    table: 'readings',
    seq: 1,
  };
  const tags = columns.tags.map(({ name }) => name);
  const facts = { rowCount, tags, originalNames, decimals, firstLogSeq: 1, lastLogSeq: 1 };
  return encodeShipment(columns, formatShipmentMetadata({ ...way, ...facts })).length;
}

/** Of aggregates: the mean, at the beginning of its window. */
function pointsOf({ rowCount, timeUs, fields }: BatchColumns): Point[] {
  const column = (name: string) => fields.find((field) => field.name === name)?.values;
  const values = column('value');
  const sums = column('value_sum');
  const counts = column('value_count');
  return Array.from({ length: rowCount }, (_, row) => ({
    timeUs: timeUs[row] ?? 0,
    value: values?.[row] ?? (sums?.[row] ?? 0) / (counts?.[row] ?? 1),
  }));
}

/** Largest and mean distance of readings from what was shipped; error of the plain mean, and of the mean over time. */
function compare(points: readonly Point[], shipped: readonly Point[], shape: Variant['shape']): number[] {
  let at = 0;
  let largest = 0;
  let sum = 0;
  let toldSum = 0;
  for (const { timeUs, value } of points) {
    while ((shipped[at + 1]?.timeUs ?? Infinity) <= timeUs) at++;
    const told = tell(shipped[at], shipped[at + 1], timeUs, shape);
    largest = Math.max(largest, Math.abs(told - value));
    sum += Math.abs(told - value);
    toldSum += told;
  }
  const mean = meanOf(points);
  return [
    largest,
    sum / points.length,
    Math.abs(meanOf(shipped) - mean),
    Math.abs(toldSum / points.length - mean),
  ];
}

function tell(before: Point | undefined, after: Point | undefined, timeUs: number, shape: Variant['shape']) {
  if (!before || !after || shape === 'step' || timeUs <= before.timeUs) return before?.value ?? 0;
  const share = (timeUs - before.timeUs) / (after.timeUs - before.timeUs);
  return before.value + share * (after.value - before.value);
}

function meanOf(points: readonly Point[]): number {
  return points.reduce((sum, { value }) => sum + value, 0) / points.length;
}
