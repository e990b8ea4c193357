import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { isFailure } from '@varve/common/errors.js';
import { deadLettersMax, recentMessagesMax, type DeadLetter, type StagedShipment } from './edge-log.js';
import { BlockBuilder } from './block.js';
import { packBlock, unpackBlock } from './packed-block.js';
import { SqliteLog } from './sqlite-log.js';

function openLog(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'varve-log-'));
  const path = join(directory, 'edge.sqlite');
  const open = (agent = 'press') => new SqliteLog({ path, agent, newEpoch: '20261122t000000z-1' });
  let log = open();
  context.after(() => {
    log.close();
    rmSync(directory, { recursive: true });
  });
  return {
    get log() {
      return log;
    },
    open,
    /** Another hand on the file, while the log is closed. */
    withDatabase(work: (db: Database.Database) => void) {
      log.close();
      const db = new Database(path);
      neverFreed.push(db);
      work(db);
      db.close();
      log = open();
    },
    reopen() {
      log.close();
      log = open();
      return log;
    },
  };
}

/** See `log-database.ts`. */
const neverFreed: unknown[] = [];

function block(messageCount: number, size = 10) {
  const builder = new BlockBuilder();
  for (let index = 0; index < messageCount; index++)
    builder.add({ topic: 'a', payload: Buffer.alloc(index === 0 ? size : 0, 7), arrivedMs: 1, packetId: 1 });
  return { source: 'plant', messageCount, bytes: builder.finish() };
}

const shipment = (seq: number, firstLogSeq: number, lastLogSeq: number): StagedShipment => ({
  ...{ lane: 'live', database: 'main', table: 'environment', seq, firstLogSeq, lastLogSeq },
  ...{ file: `${seq}.parquet`, rowCount: 1, bytes: 100, stagedMs: 5 },
});

const letter = (seq: number): DeadLetter => ({
  ...{
    seq,
    source: 'plant',
    stream: 'environment',
    refusedBy: ['environment'],
    topic: 'a',
    payload: Buffer.from('{'),
    code: 'not_json',
    reason: 'r',
    arrivedMs: 1,
  },
});

test('messages are numbered from 1 without gaps, across blocks and restarts', (context) => {
  const opened = openLog(context);
  assert.deepEqual(opened.log.append([block(3), block(2)]), [1, 4]);
  assert.deepEqual(opened.reopen().append([block(1)]), [6]);
  assert.deepEqual(
    opened.log.read(1, 1e6).map(({ firstSeq, messageCount }) => [firstSeq, messageCount]),
    [
      [1, 3],
      [4, 2],
      [6, 1],
    ],
  );
});

test('reading begins at the block that holds the position and stops at the bound, but gives at least one block', (context) => {
  const { log } = openLog(context);
  log.append([block(3), block(3), block(3)]);
  const firstSeqs = (fromSeq: number, bytesMax: number) =>
    log.read(fromSeq, bytesMax).map(({ firstSeq }) => firstSeq);
  assert.deepEqual(firstSeqs(5, 1e6), [4, 7]);
  assert.deepEqual(firstSeqs(1, 1), [1]);
  assert.deepEqual(firstSeqs(1, 40), [1, 4]);
  assert.deepEqual(firstSeqs(10, 1e6), []);
});

test('staging moves the position, takes the numbers and fills the outbox, and all of it survives a restart', (context) => {
  const opened = openLog(context);
  opened.log.append([block(5)]);
  const { entries } = opened.log.stage({
    shipments: [shipment(1, 1, 5)],
    deadLetters: [letter(3)],
    nextSeq: 6,
    nowMs: 7,
  });
  assert.equal(entries.length, 1);
  const state = opened.reopen().state();
  assert.equal(state.nextSeq, 6);
  assert.deepEqual(state.outbox, entries);
  assert.deepEqual(state.nextShipmentSeqs, [
    { lane: 'live', database: 'main', table: 'environment', seq: 2 },
  ]);
  assert.equal(state.deadLetterCount, 1);
  assert.equal(state.epoch, '20261122t000000z-1');
});

test('a number that is taken twice fails and changes nothing', (context) => {
  const { log } = openLog(context);
  log.append([block(5)]);
  log.stage({ shipments: [shipment(1, 1, 2)], deadLetters: [], nextSeq: 3, nowMs: 7 });
  assert.throws(() =>
    log.stage({ shipments: [shipment(1, 3, 5)], deadLetters: [letter(4)], nextSeq: 6, nowMs: 7 }),
  );
  assert.equal(log.state().nextSeq, 3);
  assert.equal(log.state().deadLetterCount, 0);
});

test('blocks go only when nothing unshipped and nothing unconfirmed needs them', (context) => {
  const { log } = openLog(context);
  log.append([block(2), block(2), block(2), block(recentMessagesMax)]);
  const first = log.stage({ shipments: [shipment(1, 1, 2)], deadLetters: [], nextSeq: 3, nowMs: 7 })
    .entries[0];
  const second = log.stage({ shipments: [shipment(2, 3, 4)], deadLetters: [], nextSeq: 5, nowMs: 7 })
    .entries[0];
  assert(first && second);
  log.confirm(second.id);
  assert.equal(log.sizes(0).oldestSeq, 1, 'the first shipment is not confirmed');
  log.confirm(first.id);
  assert.equal(log.sizes(0).oldestSeq, 5, 'the third block is in no shipment');
});

test('the newest blocks stay in any case, as many as the broker may send again, over a restart too', (context) => {
  const opened = openLog(context);
  opened.log.append([block(10), block(recentMessagesMax - 5), block(5)]);
  assert.equal(opened.log.state().recentSeq, 11);
  const end = 11 + recentMessagesMax;
  const { entries } = opened.log.stage({
    shipments: [shipment(1, 1, end - 1)],
    deadLetters: [],
    nextSeq: end,
    nowMs: 7,
  });
  opened.log.confirm(entries[0]?.id ?? 0);
  assert.equal(opened.log.sizes(0).oldestSeq, 11);
  assert.equal(opened.reopen().state().recentSeq, 11);
});

test('numbers do not start again when the blocks are gone', (context) => {
  const opened = openLog(context);
  opened.log.append([block(4)]);
  opened.log.stage({ shipments: [], deadLetters: [], nextSeq: 5, nowMs: 7 });
  opened.withDatabase((db) => db.exec('DELETE FROM blocks'));
  assert.deepEqual(opened.log.append([block(1)]), [5]);
});

test('a block that deflates well is kept deflated, and read as it was', (context) => {
  const { log } = openLog(context);
  const { bytes } = block(1, 10_000);
  const place = { firstSeq: 1, messageCount: 1, source: 'plant' };
  log.append([{ source: 'plant', messageCount: 1, bytes: bytes.slice() }]);
  assert.deepEqual(Buffer.from(log.read(1, 1)[0]?.bytes ?? []), Buffer.from(bytes));
  assert(packBlock(bytes, place).length < bytes.length / 10);
  assert.throws(
    () => unpackBlock(Buffer.from([1, 2, 3]), place),
    (error) => isFailure(error, 'log_corrupt'),
  );
  assert.throws(
    () => unpackBlock(Buffer.from([9]), place),
    (error) => isFailure(error, 'log_corrupt'),
  );
});

test('dead letters are bounded: the oldest go first, and it is said how many', (context) => {
  const { log } = openLog(context);
  const letters = Array.from({ length: deadLettersMax + 5 }, (_, index) => letter(index + 1));
  const { deadLettersDropped } = log.stage({
    shipments: [],
    deadLetters: letters,
    nextSeq: letters.length + 1,
    nowMs: 7,
  });
  assert.equal(deadLettersDropped, 5 + deadLettersMax / 10);
  assert.equal(log.deadLetters(1)[0]?.seq, deadLettersMax + 5);
});

test('a long payload of a dead letter is cut, and its reason says so', (context) => {
  const { log } = openLog(context);
  log.stage({
    shipments: [],
    deadLetters: [{ ...letter(1), payload: Buffer.alloc(100_000) }],
    nextSeq: 2,
    nowMs: 7,
  });
  const [kept] = log.deadLetters(1);
  assert.equal(kept?.payload.length, 65_536);
  assert.match(kept.reason, /100000 bytes cut to 65536/);
});

test('a second agent on the same folder is refused', (context) => {
  const { open } = openLog(context);
  assert.throws(
    () => open(),
    (error) => isFailure(error, 'data_dir_in_use'),
  );
});

test('a folder of another agent is refused', (context) => {
  const opened = openLog(context);
  opened.log.close();
  assert.throws(
    () => opened.open('lathe'),
    (error) => isFailure(error, 'data_dir_mismatch'),
  );
  opened.reopen();
});
