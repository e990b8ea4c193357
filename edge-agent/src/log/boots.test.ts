import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { BlockBuilder, readBlock } from './block.js';
import type { StagedShipment } from './edge-log.js';
import { SqliteLog } from './sqlite-log.js';

const now = Date.UTC(2026, 10, 22);

function openLog(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'varve-boots-'));
  const path = join(directory, 'edge.sqlite');
  const bounds = { recentBytesMax: 1, deadLetterBytesMax: 1e6 };
  const open = () => new SqliteLog({ path, agent: 'press', newEpoch: '20261122t000000z-1', bounds });
  let log = open();
  context.after(() => {
    log.close();
    rmSync(directory, { recursive: true });
  });
  return {
    get log() {
      return log;
    },
    reopen() {
      log.close();
      log = open();
    },
    /** One message, `monotonicMs` after the boot. */
    receive(boot: number, monotonicMs: number, offsetMs: number, isTrusted = false) {
      const builder = new BlockBuilder(() => ({ boot, offsetMs, isTrusted }));
      builder.add({
        ...{ topic: 'a', payload: Buffer.from('1'), packetId: 0, arrivedMs: monotonicMs + offsetMs },
      });
      log.append([{ source: 'plant', messageCount: 1, bytes: builder.finish() }]);
    },
    /** How every message is read. */
    arrivals(clockBoot?: number) {
      return log.read(1, 1e6, clockBoot).map(({ bytes, arrival }) => {
        const [message] = readBlock(bytes, arrival?.shiftMs);
        return [arrival?.state, message?.arrivedMs];
      });
    },
  };
}

const shipment = (seq: number): StagedShipment => ({
  ...{ lane: 'live', database: 'main', table: 'a', seq, firstLogSeq: seq, lastLogSeq: seq },
  ...{ file: `${seq}.parquet`, rowCount: 1, bytes: 100, stagedMs: 5 },
});

test('arrivals from before trust are put right by it, over a restart; those after it stand as they are', (context) => {
  const opened = openLog(context);
  const { boot } = opened.log.beginBoot('one');
  opened.receive(boot, 500, 1_000);
  opened.receive(boot, 700, 5_000_000);
  assert.deepEqual(opened.arrivals(), [
    ['open', 1_500],
    ['open', 5_000_700],
  ]);
  opened.log.trustBoot({ boot, offsetMs: now, trustedMs: now + 900 });
  opened.receive(boot, 1_000, now + 3, true);
  opened.reopen();
  assert.deepEqual(opened.arrivals(), [
    ['corrected', now + 500],
    ['corrected', now + 700],
    ['trusted', now + 1_003],
  ]);
  assert.deepEqual(opened.log.beginBoot('one'), { boot, offsetMs: now, trustedMs: now + 900 });
  assert.equal(opened.log.sizes(1).oldestWaitingMs, now + 500);
});

test('a boot is decided once, and another boot is another clock', (context) => {
  const opened = openLog(context);
  const first = opened.log.beginBoot('one');
  opened.receive(first.boot, 500, 1_000);
  const second = opened.log.beginBoot('two');
  assert.notEqual(first.boot, second.boot);
  opened.receive(second.boot, 600, 1_000);
  opened.log.trustBoot({ boot: second.boot, offsetMs: now, trustedMs: now });
  opened.log.trustBoot({ boot: second.boot, offsetMs: now + 1e6, trustedMs: now });
  assert.deepEqual(opened.arrivals(), [
    ['open', 1_500],
    ['corrected', now + 600],
  ]);
});

test('what was known when a shipment was made is all it is made again with', (context) => {
  const opened = openLog(context);
  const { boot } = opened.log.beginBoot('one');
  opened.receive(boot, 500, 1_000);
  opened.receive(boot, 600, 1_000);
  opened.log.stage({ shipments: [shipment(1)], deadLetters: [], nextSeq: 2, nowMs: 7 });
  opened.log.trustBoot({ boot, offsetMs: now, trustedMs: now });
  opened.log.stage({ shipments: [shipment(2)], deadLetters: [], nextSeq: 3, nowMs: 7, trustedMs: now + 8 });
  opened.reopen();
  const [before, after] = opened.log.state().outbox;
  assert.deepEqual(opened.arrivals(before?.clockBoot)[0], ['open', 1_500]);
  assert.deepEqual(opened.arrivals(after?.clockBoot)[1], ['corrected', now + 600]);
  assert.equal(opened.log.beginBoot('one').trustedMs, now + 8, 'stored with the position');
});

test('boots are forgotten with their last block, and no number is given twice', (context) => {
  const opened = openLog(context);
  const numbers = new Set<number>();
  for (let index = 1; index <= 50; index++) {
    const { boot } = opened.log.beginBoot(`boot ${index}`);
    assert(!numbers.has(boot));
    numbers.add(boot);
    opened.receive(boot, 500, 1_000);
    opened.log.stage({ shipments: [], deadLetters: [], nextSeq: index + 1, nowMs: 7 });
    opened.log.confirm(0);
    opened.reopen();
  }
  const kept = [...numbers].slice(0, -2).filter((_, index) => {
    const { boot } = opened.log.beginBoot(`boot ${index + 1}`);
    return numbers.has(boot);
  });
  assert.deepEqual(kept, []);
});
