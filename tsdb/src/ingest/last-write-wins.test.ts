import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataFile } from '../delta/snapshot.js';
import { TestLake } from './lake.test.fixture.js';
import {
  modelTexts,
  rowText,
  shipment,
  toTestShipment,
  write,
  type GeneratedShipment,
  type Model,
} from './model-table.test.fixture.js';

/** I7 against a model (`model-table.test.fixture.ts`). From four on, the shipments of a table are read together. */
const rounds = fc.array(fc.array(shipment, { maxLength: 6 }), { minLength: 1, maxLength: 5 });

test('any writes in any order: each (tags, time) once, the last value of each field', async () => {
  await fc.assert(
    fc.asyncProperty(rounds, async (generated) => {
      const lake = await TestLake.open();
      try {
        await checkRounds(lake, generated);
      } finally {
        await lake.close();
      }
    }),
    { numRuns: 40 },
  );
});

async function checkRounds(
  lake: TestLake,
  generated: readonly (readonly GeneratedShipment[])[],
): Promise<void> {
  const ingester = await lake.openIngester();
  const model: Model = new Map();
  const seqs = new Map<string, number>();
  for (const round of generated) {
    for (const each of round) {
      const seq = (seqs.get(each.agent) ?? 0) + 1;
      seqs.set(each.agent, seq);
      await lake.ship(toTestShipment(each, seq));
    }
    const report = await ingester.runOnce();
    assert.deepEqual(report.failures, []);
    for (const each of inTurns(round)) write(model, each);
    if (seqs.size > 0) await checkTable(lake, model);
  }
}

/** The order of a commit: agents in turn, by name. */
function inTurns(round: readonly GeneratedShipment[]): GeneratedShipment[] {
  const lanes = ['a', 'b'].map((agent) => round.filter((each) => each.agent === agent));
  return Array.from({ length: round.length }, (_, turn) => lanes.flatMap((lane) => lane[turn] ?? [])).flat();
}

async function checkTable(lake: TestLake, model: Model): Promise<void> {
  const { files } = await lake.snapshot();
  const actual = (files.size === 0 ? [] : await lake.readShown()).map(rowText).sort();
  assert.deepEqual(actual, modelTexts(model));
  for (const file of files.values()) await checkFile(lake, file);
}

/** What the log says of a file is true, and the file is sorted. */
async function checkFile(lake: TestLake, file: DataFile): Promise<void> {
  const rows = await lake.query(
    [file],
    'SELECT *, epoch_us("time") AS us, CAST(day AS VARCHAR) AS day_text FROM files',
  );
  assert.equal(rows.length, file.rowCount);
  for (const each of rows) {
    const us = Number(each['us']);
    assert.ok(us >= file.minTimeUs && us <= file.maxTimeUs, 'inside the bounds');
    assert.equal(each['day_text'], file.day);
    assert.equal(new Date(us / 1_000).toISOString().slice(0, 10), file.day);
  }
  const order = rows.map((each) =>
    [each['device'] ?? '~', each['site'] ?? '~', String(each['us'])].join(' '),
  );
  assert.deepEqual(order, order.toSorted(), 'by tags, nulls last, then time');
}
