import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { TableBatch } from '../batch/table-batch.js';
import { streamOf } from '../decode/streams.test.fixture.js';
import type { ReductionChange, ReductionState } from '../log/edge-log.js';
import { backlogLane, liveLane } from '../ship/plan-lanes.js';
import { Window } from '../ship/window.js';
import { noReduction, Reduction, type ReductionPlan } from './reduction.js';

const key = 'main.environment';
const heartbeatMs = 60_000;
const stream = (fields: object = { band: { deadband: 1 }, door: { swinging_door: 1 } }) =>
  streamOf({ reduce: { heartbeat: '1m', fields } });

interface Reading {
  readonly device: string;
  readonly timeMs: number;
  readonly band: number;
  readonly door: number;
}

const at = (timeMs: number, band: number, door: number, device = 'a'): Reading => ({
  ...{ device, timeMs, band, door },
});

/** A window of messages from `firstSeq` on, one for each reading. */
function windowOf(firstSeq: number, readings: readonly Reading[]): Window {
  const window = new Window(0, firstSeq);
  const batch = new TableBatch({ tags: ['device'], declaredTypes: new Map() });
  for (const { device, timeMs, band, door } of readings) {
    batch.beginRow(timeMs * 1_000, [device]);
    batch.setField('band', 'band', 'double', band);
    batch.setField('door', 'door', 'double', door);
  }
  window.batches.set(key, { database: 'main', table: 'environment', batch });
  return window;
}

function rowsOf({ batches }: ReductionPlan): string[] {
  const columns = batches.get(key)?.columns;
  if (!columns) return [];
  const [band, door] = ['band', 'door'].map((name) => columns.fields.find((field) => field.name === name));
  const device = columns.tags.find(({ name }) => name === 'device');
  return Array.from({ length: columns.rowCount }, (_, row) =>
    [
      device?.texts[device.values[row] ?? 0],
      (columns.timeUs[row] ?? 0) / 1_000,
      band?.values[row],
      door?.values[row],
    ].join(' '),
  );
}

/** As the log keeps it. */
class Durable {
  state: ReductionState = noReduction;

  commit(changes: readonly ReductionChange[] | undefined, nextSeq: number): void {
    let { states } = this.state;
    for (const { table, isWhole, bytes } of changes ?? []) {
      if (isWhole) states = states.filter((one) => one.table !== table);
      if (bytes) states = [...states, { table, bytes }];
    }
    this.state = { nextSeq, states };
  }
}

const readingArbitrary = fc.record({
  device: fc.constantFrom('a', 'b'),
  stepMs: fc.integer({ min: 1, max: 20_000 }),
  band: fc.integer({ min: 0, max: 5 }),
  door: fc.integer({ min: 0, max: 5 }),
});

test('cut into shipments anywhere, killed between any two effects: the same rows leave', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(readingArbitrary, fc.boolean(), fc.constantFrom('', 'before', 'after')), {
        maxLength: 60,
      }),
      (steps) => {
        let timeMs = 0;
        const readings = steps.map(([{ stepMs, ...rest }]) => ({ ...rest, timeMs: (timeMs += stepMs) }));
        const fold = (cuts: readonly (readonly [boolean, string])[]) => {
          const durable = new Durable();
          const start = () => new Reduction({ streams: [stream()], opened: durable.state });
          let reduction = start();
          const rows: string[] = [];
          let firstSeq = 1;
          for (const index of readings.keys()) {
            const [isCut, killed] = cuts[index] ?? [false, ''];
            if (!isCut && index < readings.length - 1) continue;
            const nextSeq = index + 2;
            const window = windowOf(firstSeq, readings.slice(firstSeq - 1, index + 1));
            const nowMs = readings[index]?.timeMs ?? 0;
            if (killed === 'before') {
              reduction.plan(liveLane, window, nextSeq, nowMs);
              reduction = start();
            }
            const plan = reduction.plan(liveLane, window, nextSeq, nowMs);
            rows.push(...rowsOf(plan));
            durable.commit(plan.changes, nextSeq);
            if (killed === 'after') reduction = start();
            else plan.accept();
            firstSeq = nextSeq;
          }
          return rows.toSorted();
        };
        const cuts = steps.map(([, isCut, killed]) => [isCut, killed] as const);
        assert.deepEqual(fold(cuts), fold(steps.map(() => [false, ''] as const)));
      },
    ),
    { numRuns: 500 },
  );
});

test('the last row of a series that has gone silent leaves after a heartbeat', () => {
  const reduction = new Reduction({ streams: [stream()], opened: noReduction });
  const first = reduction.plan(liveLane, windowOf(1, [at(0, 1, 1), at(10, 1, 1.5)]), 3, 10);
  assert.deepEqual(rowsOf(first), ['a 0 1 1']);
  first.accept();
  assert.equal(reduction.nextDueMs, 10 + heartbeatMs);
  assert.deepEqual(rowsOf(reduction.plan(liveLane, windowOf(3, []), 3, 9 + heartbeatMs)), []);
  const silent = reduction.plan(liveLane, windowOf(3, []), 3, 10 + heartbeatMs);
  assert.deepEqual(rowsOf(silent), ['a 10 1 1.5']);
  silent.accept();
  assert.equal(reduction.nextDueMs, undefined);
});

test('a row held before a silence leaves, wherever a window ends', () => {
  const late = 11 + heartbeatMs;
  const readings = [at(0, 1, 1), at(10, 1, 1), at(late - 1, 1, 1, 'b'), at(late, 1, 1)];
  const whole = new Reduction({ streams: [stream()], opened: noReduction });
  const all = ['a 0 1 1', 'a 10 1 1', `a ${late} 1 1`, `b ${late - 1} 1 1`];
  assert.deepEqual(rowsOf(whole.plan(liveLane, windowOf(1, readings), 5, late)).toSorted(), all);
  const cut = new Reduction({ streams: [stream()], opened: noReduction });
  const first = cut.plan(liveLane, windowOf(1, readings.slice(0, 3)), 4, late - 1);
  first.accept();
  const second = cut.plan(liveLane, windowOf(4, readings.slice(3)), 5, late);
  assert.deepEqual([...rowsOf(first), ...rowsOf(second)].toSorted(), all);
});

test('what is not staged is planned again, the same', () => {
  const reduction = new Reduction({ streams: [stream()], opened: noReduction });
  const plan = () => rowsOf(reduction.plan(liveLane, windowOf(1, [at(0, 1, 1), at(1, 9, 1)]), 3, 1));
  assert.deepEqual(plan(), plan());
});

test('where messages were jumped over, what is held leaves and reducing begins anew', () => {
  const reduction = new Reduction({ streams: [stream()], opened: noReduction });
  reduction.plan(liveLane, windowOf(1, [at(0, 1, 1), at(10, 1, 1.5)]), 3, 10).accept();
  const jumped = reduction.plan(liveLane, windowOf(9, [at(20, 1, 1.5)]), 10, 20);
  assert.deepEqual(rowsOf(jumped), ['a 10 1 1.5', 'a 20 1 1.5']);
});

test('in the backlog a window holds nothing back', () => {
  const reduction = new Reduction({ streams: [stream()], opened: noReduction });
  const plan = reduction.plan(backlogLane, windowOf(1, [at(0, 1, 1), at(10, 1, 1), at(20, 1, 1)]), 1, 20);
  assert.deepEqual(rowsOf(plan), ['a 20 1 1', 'a 0 1 1']);
  assert.equal(plan.changes, undefined);
});

test('what was held leaves when the stream is reduced otherwise, or no more', () => {
  const durable = new Durable();
  const before = new Reduction({ streams: [stream()], opened: noReduction });
  durable.commit(before.plan(liveLane, windowOf(1, [at(0, 1, 1), at(10, 1, 1.5)]), 3, 10).changes, 3);
  for (const streams of [[], [stream({ band: { deadband: 2 } })]]) {
    const after = new Reduction({ streams, opened: durable.state });
    assert.equal(after.nextDueMs, 0);
    const plan = after.plan(liveLane, windowOf(3, [at(20, 1, 1)]), 4, 20);
    assert.deepEqual(rowsOf(plan), ['a 10 1 1.5', 'a 20 1 1']);
    assert(plan.changes?.some(({ isWhole, bytes }) => isWhole && bytes === null));
  }
});

test('what is damaged of the states is in the loss ledger, and reducing begins anew', () => {
  const durable = new Durable();
  const before = new Reduction({ streams: [stream()], opened: noReduction });
  const windows = [[at(0, 1, 1), at(1, 1, 1, 'b')], [at(1, 1, 2)], [at(2, 1, 2, 'b')]];
  for (const [index, readings] of windows.entries()) {
    const plan = before.plan(liveLane, windowOf(index + 1, readings), index + 2, 0);
    durable.commit(plan.changes, index + 2);
    plan.accept();
  }
  assert.equal(durable.state.states.length, 3);
  // What it held is lost; what the last one held leaves.
  const states = durable.state.states.map(({ table, bytes }, index) => ({
    table,
    bytes: index === 1 ? bytes.map((one) => one ^ 1) : bytes,
  }));
  durable.state = { nextSeq: 4, states };
  const after = new Reduction({ streams: [stream()], opened: durable.state });
  assert.equal(after.nextDueMs, 0, 'it is not put off until a message comes');
  const plan = after.plan(liveLane, windowOf(4, [at(5, 1, 1)]), 5, 5);
  assert.deepEqual(rowsOf(plan), ['b 2 1 2', 'a 5 1 1']);
  assert.deepEqual(
    plan.losses.map(({ kind, firstSeq, lastSeq, count, whenMs }) => [kind, firstSeq, lastSeq, count, whenMs]),
    [['set_aside', 0, 3, 0, 5]],
  );
  assert.match(plan.losses[0]?.reason ?? '', /reducing main\.environment was damaged/);
  assert.deepEqual(after.plan(liveLane, windowOf(4, []), 5, 5).losses.length, 1, 'not until it is durable');
  durable.commit(plan.changes, 5);
  plan.accept();
  assert.deepEqual(after.plan(liveLane, windowOf(5, []), 6, 5).losses, []);
  const again = new Reduction({ streams: [stream()], opened: durable.state });
  assert.deepEqual(again.plan(liveLane, windowOf(5, []), 6, 5).losses, []);
});

test('states whose table has another name than when they were written are damaged', () => {
  const durable = new Durable();
  const before = new Reduction({ streams: [stream()], opened: noReduction });
  durable.commit(before.plan(liveLane, windowOf(1, [at(0, 1, 1)]), 2, 0).changes, 2);
  const states = durable.state.states.map(({ bytes }) => ({ table: 'main.other', bytes }));
  const after = new Reduction({ streams: [stream()], opened: { nextSeq: 2, states } });
  const { changes, losses } = after.plan(liveLane, windowOf(2, []), 3, 0);
  assert.equal(losses.length, 2);
  assert(changes?.some(({ table, bytes }) => table === 'main.other' && bytes === null));
});
