import { strict as assert } from 'node:assert';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { readParquet } from 'parquet-wasm';
import { systemClock } from '@varve/common/clock.js';
import { formatShipmentMetadata } from '@varve/common/contract/shipment.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { Aggregation } from '../aggregate/aggregation.js';
import { Reduction } from '../reduce/reduction.js';
import type { ReduceConfig } from '../reduce/reduce-config.js';
import { Router } from '../decode/router.js';
import { parseTopicTemplate } from '../decode/topic-template.js';
import { encodeShipment } from '../encode/encode-shipment.js';
import type { ParquetEncoder } from '../encode/parquet-encoder.js';
import { BlockBuilder } from '../log/block.js';
import type { EdgeLog, OutboxEntry } from '../log/edge-log.js';
import { SqliteLog } from '../log/sqlite-log.js';
import { createEdgeMetrics } from '../metrics.js';
import { Outbox } from './outbox.js';
import { Pump } from './pump.js';
import { remakeShipment } from './remake-shipment.js';

const topic = parseTopicTemplate('plant/{device}');
assert(typeof topic !== 'string');
const plainStream = {
  name: 'environment',
  database: 'main',
  topic,
  format: 'json' as const,
  time: undefined,
  fields: undefined,
  priority: 0,
  raw: 'ship' as const,
  aggregates: [],
};

/** A log with ten messages, and one shipment of them in the outbox. */
async function stageOne(context: TestContext, reduce?: ReduceConfig) {
  const stream = { ...plainStream, ...(reduce && { reduce }) };
  const directory = mkdtempSync(join(tmpdir(), 'varve-remake-'));
  const sqlite = new SqliteLog({
    path: join(directory, 'edge.sqlite'),
    agent: 'press',
    newEpoch: '20261122t000000z-1',
  });
  context.after(() => {
    sqlite.close();
    rmSync(directory, { recursive: true });
  });
  const block = new BlockBuilder();
  for (let index = 0; index < 10; index++)
    block.add({
      topic: 'plant/press',
      payload: Buffer.from(`{"a":${index}}`),
      arrivedMs: systemClock.nowMs(),
      packetId: 0,
    });
  sqlite.append([{ source: 'plant', messageCount: 10, bytes: block.finish() }]);
  type Unused =
    | 'append'
    | 'evict'
    | 'releaseRecent'
    | 'releaseKept'
    | 'losses'
    | 'deadLetters'
    | 'deadLettersFrom'
    | 'replayDeadLetters'
    | 'beginBoot'
    | 'trustBoot'
    | 'subscribed'
    | 'setSubscribed'
    | 'close';
  const log: Omit<EdgeLog, Unused> = {
    opened: sqlite.state(),
    sizes: () => Promise.resolve(sqlite.sizes(0)),
    read: (fromSeq, bytesMax) => Promise.resolve(sqlite.read(fromSeq, bytesMax)),
    waitingLosses: () => Promise.resolve(sqlite.waitingLosses()),
    shippedLosses: (id) => Promise.resolve(sqlite.shippedLosses(id)),
    stage: (request) => Promise.resolve(sqlite.stage(request)),
    confirm: async (id) => Promise.resolve(id).then((known) => sqlite.confirm(known)),
    replace: async (entry, losses) => Promise.resolve(entry).then((known) => sqlite.replace(known, losses)),
  };
  const outbox = await Outbox.open(directory, log, 1e9);
  const encoder = {
    encode: (...[columns, metadata, path]: Parameters<ParquetEncoder['encode']>) => {
      const bytes = encodeShipment(columns, formatShipmentMetadata(metadata));
      writeFileSync(path, bytes);
      return Promise.resolve(bytes.length);
    },
  };
  const metrics = createEdgeMetrics(createRegistry(() => 0));
  const parts = { agent: 'press', log, outbox, encoder, metrics, router: new Router([stream]) };
  const opened = log.opened.aggregates;
  const aggregation = new Aggregation({ streams: [stream], opened, openBytesMax: 1e6 });
  const reduction = new Reduction({ streams: [stream], opened: log.opened.reduction });
  const told = { streams: [stream], onLosses: () => undefined };
  const options = { ...parts, ...told, clock: systemClock, logger: silentLogger() };
  const stop = new AbortController();
  const policy = { everyMs: 0, rowsMax: 10, bytesMax: 1e6, logBytesMax: 1e9, liveFirst: true };
  const hooks = { onStaged: () => stop.abort(), mayStage: () => true, onDiskFull: () => undefined };
  await new Pump({ ...options, aggregation, reduction, policy, ...hooks }).run(stop.signal);
  const [entry] = outbox.entries;
  assert(entry);
  return { directory, sqlite, outbox, options, entry };
}

type Staged = Awaited<ReturnType<typeof stageOne>>;

function readFile(
  { outbox }: Staged,
  { file }: OutboxEntry,
): { rows: string[]; lostRows: string | undefined } {
  const bytes = readFileSync(outbox.pathOf(file));
  const table = tableFromIPC(readParquet(bytes).intoIPCStream());
  const rows = table.toArray().map((row: unknown) => String(row));
  // Keys and values stand in the footer as they are.
  return { rows, lostRows: /varve\.lost_rows[^\d]{1,8}(\d+)/.exec(bytes.toString('latin1'))?.[1] };
}

test('a file that is whole is known as such', async (context) => {
  const { outbox, entry } = await stageOne(context);
  assert(await outbox.hasWhole(entry));
  truncateSync(outbox.pathOf(entry.file), 100);
  assert(!(await outbox.hasWhole(entry)));
  rmSync(outbox.pathOf(entry.file));
  assert(!(await outbox.hasWhole(entry)));
});

test('a shipment whose file is damaged is made again from the log, the same', async (context) => {
  const staged = await stageOne(context);
  const { outbox, entry, options, sqlite, directory } = staged;
  const before = readFile(staged, entry);
  truncateSync(outbox.pathOf(entry.file), 100);
  const remade = await remakeShipment(entry, options);
  assert.deepEqual(readFile(staged, remade), before);
  assert.deepEqual(sqlite.state().outbox, [remade], 'the log knows the new file');
  assert.deepEqual(outbox.entries, [remade]);
  assert.deepEqual(readdirSync(join(directory, 'outbox')), [remade.file], 'the damaged one is gone');
  assert.deepEqual([before.rows.length, before.lostRows], [10, undefined]);
});

test('a shipment of the loss ledger is made again from the ledger', async (context) => {
  const { sqlite, outbox, options } = await stageOne(context);
  const letter = {
    seq: 1,
    source: 'plant',
    stream: null,
    refusedBy: [],
    topic: 't',
    payload: Buffer.from('x'),
    arrivedMs: 1,
  };
  const after = { nextSeq: 11, nowMs: 1 };
  const refused = { ...letter, code: 'no_stream', reason: 'nobody' };
  sqlite.stage({ shipments: [], deadLetters: [refused], ...after });
  const place = {
    lane: 'live',
    database: 'main',
    table: 'varve_losses',
    seq: 1,
    firstLogSeq: 11,
    lastLogSeq: 10,
  };
  const shipment = { ...place, file: 'gone.parquet', rowCount: 1, bytes: 1, stagedMs: 1 };
  const lastLossId = sqlite.waitingLosses()[0]?.id ?? 0;
  const { entries } = sqlite.stage({ shipments: [shipment], deadLetters: [], ...after, lastLossId });
  const [entry] = entries;
  assert(entry);
  const remade = await remakeShipment(entry, options);
  assert.equal(remade.rowCount, 1);
  assert(await outbox.hasWhole(remade));
});

test('a file that the log does not take over is not left on the disk', async (context) => {
  const { directory, entry, options } = await stageOne(context);
  const full = () => Promise.reject(new Failure('disk_full', 'no room'));
  const outbox = await Outbox.open(
    directory,
    { ...options.log, replace: full, opened: { ...options.log.opened, outbox: [entry] } },
    1e9,
  );
  await assert.rejects(remakeShipment(entry, { ...options, outbox }), /no room/);
  assert.deepEqual(readdirSync(join(directory, 'outbox')), [entry.file]);
});

test('what the log has no more is counted in the file, which may be empty', async (context) => {
  const staged = await stageOne(context);
  const { outbox, entry, options } = staged;
  rmSync(outbox.pathOf(entry.file));
  const emptied = { ...options, log: { ...options.log, read: () => Promise.resolve([]) } };
  const remade = await remakeShipment(entry, emptied);
  assert.deepEqual(readFile(staged, remade), { rows: [], lostRows: '10' });
  assert.equal(remade.rowCount, 0);
  const [loss] = staged.sqlite.waitingLosses();
  assert.deepEqual([loss?.kind, loss?.stream, loss?.count], ['set_aside', 'environment', 10]);
});

test('a stream that is not configured any more makes an empty shipment, and its lane goes on', async (context) => {
  const staged = await stageOne(context);
  rmSync(staged.outbox.pathOf(staged.entry.file));
  const remade = await remakeShipment(staged.entry, { ...staged.options, router: new Router([]) });
  assert.deepEqual(readFile(staged, remade), { rows: [], lostRows: '10' });
});
