import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { BlockBuilder, evictedMessage } from './block.js';
import { deadLettersMax, type DeadLetter, type StagedShipment } from './edge-log.js';
import { lossesOfDeadLetters, mergeRows, type Loss } from './loss.js';
import { shippedRowsMax, waitingRowsMax } from './loss-ledger.js';
import { SqliteLog } from './sqlite-log.js';

function openLog(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'varve-ledger-'));
  const open = () => new SqliteLog({ path: join(directory, 'edge.sqlite'), agent: 'press', newEpoch: 'e' });
  let log = open();
  context.after(() => {
    log.close();
    rmSync(directory, { recursive: true });
  });
  return {
    log,
    reopen() {
      log.close();
      log = open();
      return log;
    },
  };
}

const message = (arrivedMs: number, packetId = 1) => ({
  ...{ topic: 'a', payload: Buffer.alloc(40), arrivedMs, packetId },
});

function block(messageCount: number, arrivedMs = 1) {
  const builder = new BlockBuilder();
  for (let index = 0; index < messageCount; index++) builder.add(message(arrivedMs, index + 1));
  return { source: 'plant', messageCount, bytes: builder.finish() };
}

const evicted = (count: number, whenMs = 5): Loss => ({
  ...{ whenMs, kind: 'evicted', stream: 'environment', firstSeq: 1, lastSeq: count },
  ...{ firstMs: 1, lastMs: 2, count, bytes: 10 * count, reason: 'full' },
});

const ledgerShipment = (seq: number): StagedShipment => ({
  ...{ lane: 'live', database: 'main', table: 'varve_losses', seq, firstLogSeq: 1, lastLogSeq: 0 },
  ...{ file: `${seq}.parquet`, rowCount: 1, bytes: 100, stagedMs: 5 },
});

const letter = (seq: number, code = 'not_json', stream: string | null = 'environment'): DeadLetter => ({
  ...{ seq, stream, code, source: 'plant', topic: 'ab', payload: Buffer.from('{') },
  ...{ reason: 'r', arrivedMs: 10 + seq, refusedBy: stream === null ? [] : [stream] },
});

const stage = (log: SqliteLog, nextSeq: number, deadLetters: DeadLetter[] = []) =>
  log.stage({ shipments: [], deadLetters, nextSeq, nowMs: 7 });

test('what is evicted from the head moves the position, and the numbers go on', (context) => {
  const opened = openLog(context);
  opened.log.append([block(3), block(2), block(4)]);
  const evict = [1, 4].map((firstSeq) => ({ firstSeq, bytes: undefined }));
  opened.log.evict({ blocks: evict, losses: [evicted(5)] });
  assert.equal(opened.log.state().nextSeq, 6);
  assert.deepEqual(
    opened.log.read(1, 1e6).map(({ firstSeq }) => firstSeq),
    [6],
  );
  opened.log.evict({ blocks: [{ firstSeq: 6, bytes: undefined }], losses: [evicted(4)] });
  const log = opened.reopen();
  assert.equal(log.state().nextSeq, 10);
  assert.deepEqual(log.append([block(1)]), [10]);
  assert.deepEqual(
    log.losses().totals.map(({ kind, count, bytes }) => [kind, count, bytes]),
    [['evicted', 9, 90]],
  );
  assert.equal(log.state().waitingLosses, 2);
});

test('what is evicted behind an open window is passed over when that is staged', (context) => {
  const { log } = openLog(context);
  log.append([block(3), block(2), block(4)]);
  log.evict({ blocks: [{ firstSeq: 4, bytes: undefined }], losses: [evicted(2)] });
  assert.equal(log.state().nextSeq, 1);
  assert.equal(stage(log, 4).nextSeq, 6);
});

test('blocks kept for redeliveries only can be given up, and nothing else', (context) => {
  const { log } = openLog(context);
  log.append([block(3), block(2)]);
  stage(log, 4);
  log.releaseRecent();
  assert.deepEqual(
    log.read(1, 1e6).map(({ firstSeq }) => firstSeq),
    [4],
  );
});

test('what is evicted from a block leaves the others where they were', (context) => {
  const { log } = openLog(context);
  log.append([block(2)]);
  const builder = new BlockBuilder();
  builder.add(evictedMessage(message(1)));
  builder.add(message(1, 2));
  log.evict({ blocks: [{ firstSeq: 1, bytes: builder.finish() }], losses: [evicted(1)] });
  assert.equal(log.read(1, 1)[0]?.messageCount, 2);
  assert.equal(log.state().nextSeq, 1);
});

test('what is in a shipment is not evicted, and nothing of the attempt stays', (context) => {
  const { log } = openLog(context);
  log.append([block(3), block(2)]);
  stage(log, 4);
  const blocks = [4, 1].map((firstSeq) => ({ firstSeq, bytes: undefined }));
  assert.throws(() => log.evict({ blocks, losses: [evicted(5)] }));
  assert.equal(log.read(1, 1e6).length, 2);
  assert.deepEqual(log.losses(), { totals: [], waitingRows: 0 });
});

test('a dead letter and its loss are one transaction: one row for each code and stream', (context) => {
  const { log } = openLog(context);
  const letters = [letter(1), letter(2), letter(3, 'no_time'), letter(4, 'no_stream', null)];
  assert.equal(stage(log, 5, letters).waitingLosses, 3);
  assert.deepEqual(
    log
      .waitingLosses()
      .map(({ kind, stream, count, firstSeq, lastSeq, bytes, reason }) => [
        ...[kind, stream, count, firstSeq, lastSeq, bytes, reason],
      ]),
    [
      ['dead_letter', 'environment', 2, 1, 2, 6, 'not_json: r'],
      ['dead_letter', 'environment', 1, 3, 3, 3, 'no_time: r'],
      ['dead_letter', null, 1, 4, 4, 3, 'no_stream: r'],
    ],
  );
});

test('a stage that fails writes no loss', (context) => {
  const { log } = openLog(context);
  const twice = [ledgerShipment(1), ledgerShipment(1)];
  assert.throws(() => log.stage({ shipments: twice, deadLetters: [letter(1)], nextSeq: 2, nowMs: 7 }));
  assert.deepEqual(log.losses(), { totals: [], waitingRows: 0 });
});

test('dropped dead letters are a loss of their own', (context) => {
  const { log } = openLog(context);
  const letters = Array.from({ length: deadLettersMax + 5 }, (_, index) => letter(index + 1));
  stage(log, letters.length + 1, letters);
  const dropped = log.waitingLosses().find(({ kind }) => kind === 'dead_letters_dropped');
  assert.deepEqual([dropped?.count, dropped?.firstSeq, dropped?.whenMs], [1_005, 1, 7]);
});

test('rows are in one shipment, and gone when the store has it, over a restart too', (context) => {
  const opened = openLog(context);
  opened.log.evict({ blocks: [], losses: [evicted(1), evicted(2)] });
  const lastLossId = opened.log.waitingLosses().at(-1)?.id ?? 0;
  opened.log.evict({ blocks: [], losses: [evicted(3)] });
  const { entries, waitingLosses } = opened.log.stage({
    ...{ shipments: [ledgerShipment(1)], deadLetters: [], nextSeq: 1, nowMs: 7, lastLossId },
  });
  assert.equal(waitingLosses, 1);
  const log = opened.reopen();
  assert.deepEqual(
    log.waitingLosses().map(({ count }) => count),
    [3],
  );
  log.confirm(entries[0]?.id ?? 0);
  assert.deepEqual(
    log.waitingLosses().map(({ count }) => count),
    [3],
  );
  assert.equal(log.losses().totals[0]?.count, 6, 'totals are of the whole life');
});

test('each row has a time of its own, though all were lost in one millisecond', (context) => {
  const { log } = openLog(context);
  log.evict({ blocks: [], losses: Array.from({ length: shippedRowsMax + 5 }, () => evicted(1, 1_000)) });
  const times = log.waitingLosses().map(({ timeUs }) => timeUs);
  assert.equal(times.length, shippedRowsMax, 'one shipment takes so many');
  assert.equal(new Set(times).size, shippedRowsMax);
  assert(times.every((timeUs) => timeUs >= 1_000_000 && timeUs < 1_001_000));
});

test('too many waiting rows are merged, the counts stay true, and what was handed out is not touched', (context) => {
  const { log } = openLog(context);
  log.evict({ blocks: [], losses: Array.from({ length: waitingRowsMax }, () => evicted(1)) });
  const handedOut = log.waitingLosses();
  log.evict({ blocks: [], losses: [evicted(1)] });
  const { waitingRows } = log.losses();
  assert.equal(waitingRows, waitingRowsMax / 2 + 2);
  assert.deepEqual(log.waitingLosses().slice(0, handedOut.length), handedOut);
  let sum = 0;
  for (let seq = 1; log.losses().waitingRows > 0; seq++) {
    const rows = log.waitingLosses();
    sum += rows.reduce((total, { count }) => total + count, 0);
    const lastLossId = rows.at(-1)?.id ?? 0;
    log.stage({ shipments: [ledgerShipment(seq)], deadLetters: [], nextSeq: 1, nowMs: 7, lastLossId });
  }
  assert.equal(sum, waitingRowsMax + 1);
});

test('merged: the newest row, with the ranges and counts of all', () => {
  const row = (id: number, some: Partial<Loss>) => ({ ...evicted(1), ...some, id, timeUs: id });
  const merged = mergeRows([
    row(1, { firstSeq: 5, lastSeq: 9, firstMs: null, lastMs: null }),
    row(2, { firstSeq: 1, lastSeq: 2, firstMs: 3, lastMs: 4, reason: 'newest' }),
  ]);
  const { id, firstSeq, lastSeq, firstMs, lastMs, count, reason } = merged;
  assert.deepEqual([id, firstSeq, lastSeq, firstMs, lastMs, count, reason], [2, 1, 9, 3, 4, 2, 'newest']);
});

test('no dead letters are no loss', () => assert.deepEqual(lossesOfDeadLetters([], 1), []));
