/**
 * Whatever a card does to the bytes of the edge database: it opens again, every message is read once and in order or counted
 * in the ledger, and no number of a shipment is given out twice.
 */
import { strict as assert } from 'node:assert';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { Failure, isFailure } from '@varve/common/errors.js';
import { BlockBuilder, isEvicted, readBlock } from './block.js';
import type { DeadLetter, LogState, StagedShipment } from './edge-log.js';
import type { LedgerRow } from './loss.js';
import { openLog } from './open-log.js';
import { finishSalvage, salvage } from './salvage.js';
import { setAsideBytesMax, SetAsideFolder } from './set-aside-folder.js';
import type { SqliteLog } from './sqlite-log.js';

/** In memory where there is such a thing: hundreds of salvages are thousands of fsyncs. */
const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'varve-damage-'));
after(() => rmSync(root, { recursive: true }));
const agent = 'press';
const firstEpoch = '20261122t000000z-1';
const nextEpoch = '20261123t000000z-2';
const options = (dir: string) => ({ path: join(dir, 'edge.sqlite'), agent, newEpoch: nextEpoch });

/** What message `seq` holds: a function of its number. */
function payloadOf(seq: number): Buffer {
  const noise = Array.from(
    { length: seq % 7 === 0 ? 60 : 2 },
    (_, index) => Math.imul(seq + index, 0x9e3779b1) >>> 0,
  );
  return Buffer.from(JSON.stringify({ seq, noise, text: 'steady '.repeat(seq % 11) }));
}

function append(log: SqliteLog, firstSeq: number, messageCount: number): void {
  const builder = new BlockBuilder();
  for (let seq = firstSeq; seq < firstSeq + messageCount; seq++)
    builder.add({ topic: 'plant/a', payload: payloadOf(seq), arrivedMs: 1_000 * seq, packetId: seq });
  const [stored] = log.append([{ source: 'plant', messageCount, bytes: builder.finish() }]);
  assert.equal(stored, firstSeq);
}

const shipment = (seq: number, firstLogSeq: number, lastLogSeq: number): StagedShipment => ({
  ...{ lane: 'live', database: 'main', table: 'environment', seq, firstLogSeq, lastLogSeq },
  ...{ file: `${seq}.parquet`, rowCount: 1, bytes: 100, stagedMs: 5 },
});

const letter = (seq: number): DeadLetter => ({
  ...{ seq, source: 'plant', stream: 'environment', topic: 'plant/b', payload: Buffer.alloc(300, seq) },
  ...{ code: 'not_json', reason: 'r', arrivedMs: seq, refusedBy: ['environment'] },
});

const perBlock = 10;
const blocks = 60;
const endSeq = 1 + blocks * perBlock;
const keepSeq = 101;
const nextSeq = 201;
const evicted = { firstSeq: 301, endSeq: 321 };

type Shape = 'in the log' | 'written back' | 'both';

/** A folder as kill -9 leaves it: 1 to 100 confirmed, to 200 in the outbox, some evicted in the middle of the rest. */
function build(shape: Shape): string {
  const dir = join(root, `built ${shape}`);
  const live = join(root, `live ${shape}`);
  mkdirSync(live);
  const open = () => openLog({ ...options(live), newEpoch: firstEpoch });
  let log = open();
  const reopen = () => {
    log.close();
    log = open();
  };
  const appendUpTo = (from: number, to: number) => {
    for (let block = from; block < to; block++) append(log, 1 + block * perBlock, perBlock);
  };
  appendUpTo(0, 25);
  const stage = (seq: number, from: number, to: number) =>
    log.stage({
      shipments: [shipment(seq, from, to)],
      deadLetters: [letter(from + 1), letter(from + 2)],
      nextSeq: to + 1,
      nowMs: 7,
    }).entries[0]?.id ?? 0;
  const first = stage(1, 1, 100);
  stage(2, 101, 150);
  stage(3, 151, 200);
  log.releaseRecent();
  log.confirm(first);
  if (shape === 'both') reopen();
  appendUpTo(25, blocks);
  const { firstSeq } = evicted;
  log.evict({
    blocks: [
      { firstSeq, bytes: undefined },
      { firstSeq: firstSeq + perBlock, bytes: undefined },
    ],
    losses: [
      {
        ...{ whenMs: 8, kind: 'evicted', stream: 'environment', firstSeq, lastSeq: evicted.endSeq - 1 },
        ...{ firstMs: 1, lastMs: 2, count: evicted.endSeq - firstSeq, bytes: 10, reason: 'full' },
      },
    ],
  });
  if (shape === 'written back') reopen();
  copyFolder(live, dir);
  log.close();
  return dir;
}

function copyFolder(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name));
}

const built = new Map<Shape, string>();
function copyOf(shape: Shape): string {
  const from = built.get(shape) ?? build(shape);
  built.set(shape, from);
  const dir = join(root, 'damaged');
  copyFolder(from, dir);
  return dir;
}

interface Outcome {
  readonly state: LogState;
  /** Numbers of messages from the position on. */
  readonly seqs: readonly number[];
  readonly setAside: number;
  readonly ledger: readonly LedgerRow[];
  readonly salvages: number;
}

/** Opens and reads everything as the agent does. */
function heal(dir: string): Outcome {
  let salvages = 0;
  let log: SqliteLog | undefined;
  for (;;) {
    try {
      log = openLog(options(dir));
      const seqs = readAll(log);
      const ledger = log.waitingLosses();
      log.deadLetters(100);
      const state = log.state();
      const { totals } = log.losses();
      const setAside = totals.find(({ kind }) => kind === 'set_aside')?.count ?? 0;
      log.close();
      return { state, seqs, setAside, ledger, salvages };
    } catch (error) {
      if (!isFailure(error, 'log_corrupt')) throw error;
      tryClose(log);
      log = undefined;
      assert(++salvages <= 2, `a loop: ${error.message}`);
      salvage({ ...options(dir), why: error.message });
    }
  }
}

function tryClose(log: SqliteLog | undefined): void {
  try {
    log?.close();
  } catch (error) {
    assert(error instanceof Failure);
  }
}

function readAll(log: SqliteLog): number[] {
  const seqs: number[] = [];
  const { nextSeq: from } = log.state();
  for (let seq = from; ;) {
    const found = log.read(seq, 20_000);
    if (found.length === 0) return seqs;
    for (const { firstSeq, bytes } of found) {
      let at = firstSeq;
      for (const message of readBlock(bytes)) {
        assert(!isEvicted(message));
        assert.deepEqual(Buffer.from(message.payload), payloadOf(at), `message ${at}`);
        if (at >= from) seqs.push(at);
        at++;
      }
      seq = at;
    }
  }
}

/** What must hold whatever was damaged; exact where the epoch goes on. */
function judge({ state, seqs, setAside, ledger }: Outcome): void {
  for (let index = 1; index < seqs.length; index++)
    assert((seqs[index] ?? 0) > (seqs[index - 1] ?? 0), 'in order, each once');
  assert(state.endSeq >= endSeq, `numbers go on from ${endSeq}, not ${state.endSeq}`);
  const unshipped = range(nextSeq, endSeq).filter((seq) => seq < evicted.firstSeq || seq >= evicted.endSeq);
  const read = new Set(seqs);
  const missing = unshipped.filter((seq) => !read.has(seq));
  if (state.epoch === firstEpoch) {
    assert.equal(setAside, missing.length, `${missing.length} missing, ${setAside} in the ledger`);
    assert(seqs.every((seq) => seq >= nextSeq));
    assert.deepEqual(
      state.nextShipmentSeqs.map(({ seq }) => seq),
      [4],
    );
    assert.deepEqual(
      state.outbox.map(({ seq, file }) => [seq, file]),
      [2, 3].map((seq) => [seq, `${seq}.parquet`]),
    );
  } else {
    assert(state.epoch > firstEpoch, 'later lives sort after earlier ones');
    assert(setAside >= missing.length, `${missing.length} missing, ${setAside} in the ledger`);
    assert(state.nextSeq <= keepSeq, 'what may not be in the store goes again');
    assert.deepEqual([state.nextShipmentSeqs, state.outbox], [[], []]);
    assert(ledger.some(({ reason }) => reason.includes('new epoch')));
  }
  const isOld = (kind: string) => ledger.some((row) => row.kind === kind);
  const isSaid = ledger.some(({ reason }) => reason.includes('could not be read: what they counted'));
  // An eviction that never happened is in no ledger: its messages are there.
  const hasEvicted = isOld('evicted') || read.has(evicted.firstSeq);
  assert((hasEvicted && isOld('dead_letter')) || isSaid, 'the ledger of before, or a word of it');
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function alter(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
}

test('undamaged, nothing is set aside', () => {
  for (const shape of ['in the log', 'written back', 'both'] as const) {
    const outcome = heal(copyOf(shape));
    judge(outcome);
    assert.deepEqual([outcome.setAside, outcome.salvages, outcome.state.epoch], [0, 0, firstEpoch]);
  }
});

const shapes = fc.constantFrom<Shape>('in the log', 'written back', 'both');
const place = fc.noBias(fc.nat(999_999)).map((part) => part / 1e6);
const damage = fc.record({
  shape: shapes,
  isWal: fc.boolean(),
  at: place,
  kind: fc.constantFrom('flip', 'flip', 'noise', 'page', 'header', 'cut'),
  bit: fc.integer({ min: 0, max: 7 }),
});

test('bytes flipped, overwritten or cut anywhere: what is readable is read once, the rest is in the ledger', () => {
  const counts = { salvaged: 0, setAside: 0, unharmed: 0, newEpochs: 0 };
  fc.assert(
    fc.property(damage, ({ shape, isWal, at, kind, bit }) => {
      const dir = copyOf(shape);
      const wal = join(dir, 'edge.sqlite-wal');
      const path = isWal && bytesOf(wal) > 0 ? wal : join(dir, 'edge.sqlite');
      if (kind === 'cut') truncateSync(path, Math.floor(readFileSync(path).length * at));
      else
        alter(path, (bytes) => {
          const offset = Math.floor((kind === 'header' ? Math.min(bytes.length, 100) : bytes.length) * at);
          const page = offset - (offset % 4_096);
          if (kind === 'page') bytes.fill(0, page, Math.min(bytes.length, page + 4_096));
          else if (kind === 'noise') bytes.fill(0xa5, offset, Math.min(bytes.length, offset + 512));
          else bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit);
        });
      const outcome = heal(dir);
      judge(outcome);
      if (outcome.salvages > 0) counts.salvaged++;
      else if (outcome.setAside > 0) counts.setAside++;
      else counts.unharmed++;
      if (outcome.state.epoch !== firstEpoch) counts.newEpochs++;
    }),
    { numRuns: 300, seed: Number(process.env['VARVE_TEST_SEED'] ?? 7) },
  );
  // Any of them unseen would mean that something is not tried.
  assert(counts.salvaged > 50 && counts.setAside > 1 && counts.newEpochs > 10, JSON.stringify(counts));
});

test('a byte of one block: that block is set aside with its bytes, and no epoch begins', () => {
  const dir = copyOf('written back');
  const needle = payloadOf(210).subarray(0, 10);
  alter(join(dir, 'edge.sqlite'), (bytes) => {
    const at = bytes.indexOf(needle);
    // Deflated blocks hold no plain text: then any byte in the middle of the file does.
    const offset = at === -1 ? bytes.length >> 1 : at;
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  });
  const outcome = heal(dir);
  judge(outcome);
});

test('what is set aside is bounded: the oldest go, and what is too large is not kept', () => {
  const folder = new SetAsideFolder(join(root, 'bounded', 'edge.sqlite'));
  mkdirSync(join(root, 'bounded'));
  const third = Buffer.alloc(setAsideBytesMax / 3);
  for (const name of ['a', 'b', 'c', 'd']) folder.keepBytes(name, third);
  assert.deepEqual(
    folder
      .files()
      .map(({ name }) => name)
      .sort(),
    ['b', 'c', 'd'],
  );
  folder.keepBytes('e', Buffer.alloc(setAsideBytesMax + 1));
  assert.equal(folder.files().length, 3);
});

test('a salvage killed behind its commit point is finished at the next start', () => {
  const dir = copyOf('in the log');
  const salvagedDir = join(root, 'salvaged');
  copyFolder(dir, salvagedDir);
  salvage({ ...options(salvagedDir), why: 'for the test' });
  for (const moved of [[], ['edge.sqlite'], ['edge.sqlite', 'edge.sqlite-wal']]) {
    const killed = copyOf('in the log');
    copyFileSync(join(salvagedDir, 'edge.sqlite'), join(killed, 'edge.sqlite.ready'));
    for (const name of moved) rmSync(join(killed, name));
    finishSalvage(join(killed, 'edge.sqlite'));
    judge(heal(killed));
  }
});
