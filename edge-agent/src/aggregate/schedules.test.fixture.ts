/**
 * A gateway that stages windows of readings: late, early, again, with a clock that jumps and a process that is killed. What of
 * it is real is what makes the partials; the log is an array. For the tests here, and those that go on to SQL.
 */
import fc from 'fast-check';
import { TableBatch, type BatchColumns } from '../batch/table-batch.js';
import type { AggregateConfig } from './aggregate-config.js';
import { StreamAggregator, type AggregatePlan } from './stream-aggregator.js';

export interface Reading {
  readonly device: string;
  readonly timeMs: number;
  /** Undefined: the message has no such field. */
  readonly value: number | undefined;
  readonly state?: string;
}

export interface Step {
  readonly readings: readonly Reading[];
  readonly nowMs: number;
  readonly isOverfull: boolean;
  /** After the shipment was planned, or after it is durable; undefined: it lives. */
  readonly killed: 'planned' | 'durable' | undefined;
}

export const tenSeconds: AggregateConfig = { table: 'ten', everyMs: 10_000, latenessMs: 2_000 };
export const minutes: AggregateConfig = {
  ...{ table: 'minute', everyMs: 60_000, latenessMs: 0 },
  quantiles: { shown: [0.5, 0.9], fields: undefined },
};

export function columnsOf(readings: readonly Reading[]): BatchColumns {
  const batch = new TableBatch({ tags: ['device'], declaredTypes: new Map() });
  for (const { device, timeMs, value, state } of readings) {
    batch.beginRow(timeMs * 1_000, [device]);
    if (value !== undefined) batch.setField('x', 'x', 'double', value);
    if (state !== undefined) batch.setField('state', 'state', 'string', state);
  }
  return batch.finish();
}

/** Returns the partials by table. `way` tells them from those of other gateways. */
export function live(steps: readonly Step[], way = ''): Map<string, BatchColumns[]> {
  const written = new Map<string, BatchColumns[]>();
  const log: Reading[] = [];
  let closedMs: ReadonlyMap<string, number> = new Map();
  let heldRanges: AggregatePlan['held'] = [];
  const start = (nowMs: number) => {
    const kitchen = { declaredTypes: new Map() };
    const aggregator = new StreamAggregator([tenSeconds, minutes], kitchen, closedMs);
    for (const { firstSeq, endSeq } of heldRanges)
      aggregator.restore({ firstSeq, endSeq, columns: columnsOf(log.slice(firstSeq, endSeq)) }, nowMs);
    return aggregator;
  };
  let aggregator = start(0);
  const stage = ({ nowMs, isOverfull }: Step, firstSeq: number): AggregatePlan => {
    const rows = { firstSeq, endSeq: log.length, columns: columnsOf(log.slice(firstSeq)) };
    const part = `${way}${log.length}`;
    return aggregator.plan({ rows, nowMs, isOverfull, mayRemember: !isOverfull, part });
  };
  for (const step of steps) {
    const firstSeq = log.length;
    log.push(...step.readings);
    if (step.killed === 'planned') {
      stage(step, firstSeq);
      aggregator = start(step.nowMs);
    }
    const plan = stage(step, firstSeq);
    for (const { aggregate, columns } of plan.batches)
      written.set(aggregate.table, [...(written.get(aggregate.table) ?? []), columns]);
    closedMs = plan.closedMs;
    heldRanges = plan.held;
    if (step.killed === 'durable') aggregator = start(step.nowMs);
    else aggregator.accept(plan);
  }
  return written;
}

const stepArbitrary = fc.record({
  readings: fc.array(
    fc.record({
      device: fc.constantFrom('a', 'b', 'c'),
      // Late, early and far off: the clock of a sensor is its own.
      timeMs: fc.oneof(
        { weight: 9, arbitrary: fc.nat(400_000) },
        { weight: 1, arbitrary: fc.nat(10_000_000) },
      ),
      value: fc.option(fc.integer({ min: -1_000, max: 1_000 }), { nil: undefined }),
      state: fc.constantFrom('on', 'off'),
    }),
    { maxLength: 30 },
  ),
  // The clock goes on, as a rule.
  nowMs: fc.oneof({ weight: 6, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(500_000) }),
  isOverfull: fc.nat(9).map((draw) => draw === 0),
  killed: fc.constantFrom(undefined, undefined, 'planned' as const, 'durable' as const),
  /** Which of the readings that are remembered come again. */
  repeats: fc.array(fc.nat(), { maxLength: 4 }),
});

/** Shorter than what is remembered, and than the least that a clock goes on. */
const repeatedWithinMs = 29_000;
const clockStepMs = 25_000;

/** Every reading once; it comes again only as long as it is remembered. All windows are written in the end. */
export const schedule: fc.Arbitrary<readonly Step[]> = fc
  .array(stepArbitrary, { maxLength: 12 })
  .map((drawn) => {
    const seen = new Set<string>();
    let remembered: { readonly reading: Reading; readonly stagedMs: number }[] = [];
    let clockMs = 0;
    const steps = drawn.map(({ readings, nowMs: drawnMs, repeats, ...rest }): Step => {
      const nowMs = drawnMs === -1 ? clockMs + clockStepMs : drawnMs;
      // Both may write all windows as they are.
      const forgets = rest.isOverfull || nowMs < clockMs;
      if (nowMs < clockMs) remembered = [];
      clockMs = nowMs;
      remembered = remembered.filter(({ stagedMs }) => nowMs - stagedMs < repeatedWithinMs);
      const again =
        remembered.length === 0 ? [] : repeats.flatMap((at) => remembered[at % remembered.length] ?? []);
      const fresh = readings.filter(({ device, timeMs }) => {
        const key = `${device} ${timeMs}`;
        return !seen.has(key) && seen.add(key);
      });
      const all = [...fresh, ...again.map(({ reading }) => reading)];
      remembered = forgets ? [] : [...remembered, ...all.map((reading) => ({ reading, stagedMs: nowMs }))];
      return { ...rest, readings: all, nowMs };
    });
    return [...steps, { readings: [], nowMs: 1e9, isOverfull: false, killed: undefined }];
  });

/** Of what was sent, every reading once. */
export function distinctReadings(steps: readonly Step[]): Reading[] {
  const readings = steps.flatMap((step) => step.readings);
  return [...new Map(readings.map((reading) => [`${reading.device} ${reading.timeMs}`, reading])).values()];
}
