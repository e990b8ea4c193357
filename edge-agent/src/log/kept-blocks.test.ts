import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Router } from '../decode/router.js';
import { streamOf } from '../decode/streams.test.fixture.js';
import { readKept } from '../ship/read-kept.js';
import { BlockBuilder } from './block.js';
import { findKeepMs, keepRaw } from './keep-raw.js';
import type { EdgeLog } from './edge-log.js';
import { SqliteLog } from './sqlite-log.js';

/** Ten blocks of two messages, a minute apart, in shipments of one block each, all confirmed; none is kept for redeliveries. */
const blockCount = 10;
const arrivedMs = (block: number) => block * 60_000;

function shipAll(context: TestContext, keepFromMs: number | undefined): SqliteLog {
  const directory = mkdtempSync(join(tmpdir(), 'varve-kept-'));
  const bounds = { recentBytesMax: 1, deadLetterBytesMax: 1e6 };
  const path = join(directory, 'edge.sqlite');
  const log = new SqliteLog({ path, agent: 'press', newEpoch: '20261122t000000z-1', bounds });
  context.after(() => {
    log.close();
    rmSync(directory, { recursive: true });
  });
  for (let block = 1; block <= blockCount; block++) {
    const builder = new BlockBuilder();
    for (const value of [block, block + 0.5])
      builder.add({
        ...{ topic: 'plant/a', payload: Buffer.from(JSON.stringify({ value })) },
        ...{ arrivedMs: arrivedMs(block), packetId: 1 },
      });
    log.append([{ source: 'plant', messageCount: 2, bytes: builder.finish() }]);
    const place = { lane: 'live', database: 'main', table: 'x', seq: block, file: `${block}`, rowCount: 2 };
    const messages = { firstLogSeq: 2 * block - 1, lastLogSeq: 2 * block, bytes: 1, stagedMs: 1 };
    const shipments = [{ ...place, ...messages }];
    const { entries } = log.stage({ shipments, deadLetters: [], nextSeq: 2 * block + 1, nowMs: 1 });
    log.confirm(entries[0]?.id ?? 0, keepFromMs);
  }
  return log;
}

const oldestOf = (log: SqliteLog) => log.sizes(0).oldestSeq;

test('what nobody keeps goes with its confirmation', (context) => {
  const log = shipAll(context, undefined);
  assert.deepEqual([oldestOf(log), log.sizes(0).keptMessages], [21, 0]);
});

test('what is kept stays, from its time on, and it is said how much', (context) => {
  const log = shipAll(context, arrivedMs(4));
  const { oldestSeq, keptMessages, keptShare, keptSinceMs } = log.sizes(0);
  assert.deepEqual([oldestSeq, keptMessages, keptShare, keptSinceMs], [7, 14, 1, arrivedMs(4)]);
});

test('the oldest of it goes when there is no room, whole blocks at a time', (context) => {
  const log = shipAll(context, 0);
  assert.equal(log.releaseKept(3), 4);
  assert.equal(oldestOf(log), 5);
  assert.equal(log.releaseKept(100), 16);
  assert.equal(log.releaseKept(1), 0);
  assert.equal(oldestOf(log), 21);
});

test('what is in no shipment yet is never given up, and no part of a block', (context) => {
  const log = shipAll(context, 0);
  const builder = new BlockBuilder();
  for (let message = 0; message < 4; message++)
    builder.add({ topic: 'plant/a', payload: Buffer.from('{}'), arrivedMs: arrivedMs(11), packetId: 1 });
  log.append([{ source: 'plant', messageCount: 4, bytes: builder.finish() }]);
  log.stage({ shipments: [], deadLetters: [], nextSeq: 23, nowMs: 1, keepFromMs: 0 });
  log.releaseKept(1_000);
  assert.deepEqual([oldestOf(log), log.sizes(0).keptMessages], [21, 0]);
});

test('where nothing is shipped at all, what is too old goes when the position moves', (context) => {
  const log = shipAll(context, 0);
  log.stage({ shipments: [], deadLetters: [], nextSeq: 21, nowMs: 1, keepFromMs: arrivedMs(8) });
  assert.equal(oldestOf(log), 15);
});

test('what is kept is read back as rows, by the time it came', async (context) => {
  const log = shipAll(context, 0);
  const values: number[] = [];
  const asked = { fromMs: arrivedMs(2), belowMs: arrivedMs(4), router: new Router([streamOf()]) };
  const readable = { read: (from: number, bytes: number) => Promise.resolve(log.read(from, bytes)) };
  for await (const { table, batch } of readKept({ ...asked, log: readable })) {
    assert.equal(table, 'environment');
    values.push(...(batch.finish().fields[0]?.values ?? []));
  }
  assert.deepEqual(values, [2, 2.5, 3, 3.5]);
});

test('the longest keeper decides, and a clock that is not trusted makes nothing old', async () => {
  const keepers = [{ raw: { keepMs: 60_000 } }, { raw: { keepMs: 120_000 } }, { raw: 'ship' }] as const;
  assert.equal(findKeepMs(keepers), 120_000);
  assert.equal(findKeepMs([{ raw: 'drop' }, {}]), undefined);
  const asked: (number | undefined)[] = [];
  const log = {
    confirm: (_: number, keepFromMs?: number) => Promise.resolve(void asked.push(keepFromMs)),
  } as EdgeLog;
  await keepRaw(log, 100, () => 1_000).confirm(1);
  await keepRaw(log, 100, () => undefined).confirm(1);
  await keepRaw(log, undefined, () => 1_000).confirm(1);
  assert.deepEqual(asked, [900, Number.NEGATIVE_INFINITY, undefined]);
});
