/** The model of the edge log answers as SQLite does, whatever is asked of both, in whatever order. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { planEviction } from '@varve/edge-agent/buffer/plan-eviction.js';
import { BlockBuilder } from '@varve/edge-agent/log/block.js';
import type { AggregateState, LogRange, NewBlock, StagedShipment } from '@varve/edge-agent/log/edge-log.js';
import type { Loss } from '@varve/edge-agent/log/loss.js';
import { SqliteLog } from '@varve/edge-agent/log/sqlite-log.js';
import { advanceRanges } from '@varve/edge-agent/ship/plan-lanes.js';
import { seededRandom, wholeBetween, type Random } from '../torture/seeded-random.js';
import { LogTables } from './log-tables.js';
import { ModelLog } from './model-log.js';

const epoch = '20261122t000000z-1';
/** A few blocks. */
const recentBytesMax = 200;
const sequences = 40;
const operations = 60;

class BothLogs {
  readonly #directory = mkdtempSync(join(tmpdir(), 'varve-model-'));
  readonly #tables = new LogTables(epoch);
  sqlite = this.#openSqlite();
  model = new ModelLog(this.#tables, recentBytesMax);

  /** The same of both, with the same answer, and the same state afterwards. */
  do<T>(work: (log: SqliteLog | ModelLog) => T): T {
    const answer = work(this.sqlite);
    assert.deepEqual(plain(work(this.model)), plain(answer));
    assert.deepEqual(plain(this.#look(this.model)), plain(this.#look(this.sqlite)));
    return answer;
  }

  reopen(): void {
    this.sqlite.close();
    this.sqlite = this.#openSqlite();
    this.model = new ModelLog(this.#tables, recentBytesMax);
  }

  close(): void {
    this.sqlite.close();
    rmSync(this.#directory, { recursive: true });
  }

  #look(log: SqliteLog | ModelLog) {
    const state = log.state();
    const { oldestSeq, endSeq, appendedBytes, oldestWaitingMs } = log.sizes(state.nextSeq);
    const nextShipmentSeqs = state.nextShipmentSeqs.map((lane) => JSON.stringify(lane)).sort();
    return {
      ...{ ...state, nextShipmentSeqs, sizes: { oldestSeq, endSeq, appendedBytes, oldestWaitingMs } },
      ...{ blocks: log.read(0, 1e9), waiting: log.waitingLosses(), losses: log.losses() },
      deadLetters: log.deadLetters(1_000),
    };
  }

  #openSqlite(): SqliteLog {
    const bounds = { recentBytesMax, deadLetterBytesMax: 1e6 };
    return new SqliteLog({
      path: join(this.#directory, 'edge.sqlite'),
      agent: 'press',
      newEpoch: epoch,
      bounds,
    });
  }
}

test('the model answers as SQLite does', () => {
  for (let seed = 1; seed <= sequences; seed++) {
    const logs = new BothLogs();
    const random = seededRandom(seed);
    try {
      for (let count = 0; count < operations; count++) operate(logs, random, count);
    } catch (error) {
      throw new Error(`sequence ${seed}`, { cause: error });
    } finally {
      logs.close();
    }
  }
});

function operate(logs: BothLogs, random: Random, nowMs: number): void {
  const { nextSeq, endSeq, backlog, outbox } = logs.sqlite.state();
  const choice = wholeBetween(random, 0, 10);
  if (choice <= 2) {
    const blocks = Array.from({ length: wholeBetween(random, 1, 2) }, () => makeBlock(random, nowMs));
    logs.do((log) => log.append(blocks));
  } else if (choice <= 4) stage(logs, random, nowMs);
  else if (choice <= 6) {
    const id = outbox[wholeBetween(random, 0, outbox.length)]?.id ?? 0;
    const keepFromMs = random() < 0.5 ? nowMs - wholeBetween(random, 0, 40) : undefined;
    logs.do((log) => log.confirm(id, keepFromMs));
  } else if (choice === 7) {
    const waiting = [...backlog, { firstSeq: nextSeq, endSeq }];
    const blocks = logs.sqlite
      .read(0, 1e9)
      .filter((block) => waiting.some((range) => isInside(block, range)));
    const rankOf = (topic: string) => ({ stream: topic, priority: topic === 'a' ? 1 : 0 });
    const rule = { rankOf, priorityMax: wholeBetween(random, 0, 1), whenMs: nowMs, reason: 'full' };
    const request = planEviction(blocks.slice(0, wholeBetween(random, 0, 3)), rule);
    logs.do((log) => log.evict(request));
  } else if (choice === 8) {
    const [entry] = outbox;
    const again = entry && { ...entry, file: `again ${nowMs}`, rowCount: 7, bytes: nowMs };
    const losses = random() < 0.5 ? [lossOf(nowMs)] : [];
    if (again) logs.do((log) => log.replace(again, losses));
    logs.do((log) => log.shippedLosses(entry?.id ?? 1));
    const [fromSeq, bytesMax] = [wholeBetween(random, 0, endSeq + 1), wholeBetween(random, 1, 200)];
    logs.do((log) => log.read(fromSeq, bytesMax));
  } else if (choice === 9) replay(logs, random, nowMs);
  else if (random() < 0.3) {
    const messages = wholeBetween(random, 1, 10);
    logs.do((log) => void log.releaseKept(messages));
  } else if (random() < 0.3) logs.do((log) => log.releaseRecent());
  else logs.reopen();
}

/** As the pump would: the window of the live lane, with or without a jump, or some of the backlog. */
function stage(logs: BothLogs, random: Random, nowMs: number): void {
  const { nextSeq, endSeq, backlog, nextShipmentSeqs } = logs.sqlite.state();
  const [range] = backlog;
  const isBacklog = range !== undefined && random() < 0.5;
  const from = isBacklog ? range.firstSeq : nextSeq;
  const to = wholeBetween(random, from, isBacklog ? range.endSeq : endSeq);
  const lane = isBacklog ? 'backlog' : 'live';
  const losses = random() < 0.5 ? logs.sqlite.waitingLosses() : [];
  const tables = [...(to > from ? ['x', 'y'] : []), ...(losses.length > 0 ? ['varve_losses'] : [])];
  const shipments = tables.map((table): StagedShipment => {
    const seq = nextShipmentSeqs.find((other) => other.lane === lane && other.table === table)?.seq ?? 1;
    const place = { lane, database: 'main', table, seq, firstLogSeq: from, lastLogSeq: to - 1 };
    return { ...place, file: `${lane} ${table} ${seq}`, rowCount: 1, bytes: 10, stagedMs: nowMs };
  });
  const isJump = !isBacklog && random() < 0.3 && to > from;
  const lastLossId = losses.at(-1)?.id;
  const letter = {
    source: 'plant',
    stream: null,
    refusedBy: random() < 0.5 ? [] : ['x', 'y'],
    topic: 'c',
    payload: new Uint8Array([1]),
    code: 'no_stream',
  };
  const deadLetters =
    to > from && random() < 0.5 ? [{ ...letter, seq: from, reason: 'nobody', arrivedMs: nowMs }] : [];
  const jumped = [...backlog, { firstSeq: from, endSeq: to }];
  const after = isBacklog
    ? { nextSeq, backlog: advanceRanges(backlog, to) }
    : { nextSeq: to, ...(isJump && { backlog: jumped }) };
  const request = {
    shipments: isJump ? [] : shipments,
    deadLetters: isJump ? [] : deadLetters,
    nowMs,
    ...(random() < 0.5 && { keepFromMs: nowMs - 20 }),
    ...after,
    ...(random() < 0.5 && { aggregates: openState(random, from, to, nowMs) }),
  };
  logs.do((log) => log.stage({ ...request, ...(!isJump && lastLossId !== undefined && { lastLossId }) }));
}

/** Some letters, one of them in part, and one that is not there any more. */
function replay(logs: BothLogs, random: Random, nowMs: number): void {
  const [fromSeq, toSeq] = [wholeBetween(random, 0, 40), wholeBetween(random, 40, 200)];
  const letters = logs.do((log) => log.deadLettersFrom(fromSeq, toSeq, 3));
  const left = { stream: 'y', code: 'not_json', reason: 'still', refusedBy: ['y'] };
  const request = [...letters.map(({ seq }) => seq), 100_000].map((seq, index) => ({
    ...{ seq, readBy: ['x'] },
    ...(index === 0 && random() < 0.5 && { left }),
  }));
  logs.do((log) => log.replayDeadLetters({ letters: request, nowMs }));
}

function lossOf(whenMs: number): Loss {
  const range = { firstSeq: 1, lastSeq: 2, firstMs: null, lastMs: null };
  return { ...range, whenMs, kind: 'set_aside', stream: 'x', count: 1, bytes: 0, reason: 'damaged' };
}

/** As aggregates would leave it: some of what was staged is in windows that are open. */
function openState(random: Random, from: number, to: number, nowMs: number): AggregateState {
  const openRanges =
    to > from && random() < 0.7 ? [{ firstSeq: wholeBetween(random, from, to - 1), endSeq: to }] : [];
  return { closedMs: new Map([['main.x_10s', nowMs]]), openRanges };
}

function makeBlock(random: Random, nowMs: number): NewBlock {
  const block = new BlockBuilder();
  const messageCount = wholeBetween(random, 1, 4);
  for (let index = 0; index < messageCount; index++)
    block.add({
      topic: random() < 0.5 ? 'a' : 'b',
      payload: new Uint8Array(wholeBetween(random, 1, 20)),
      arrivedMs: nowMs + index,
      packetId: index,
    });
  return { source: 'plant', messageCount, bytes: block.finish() };
}

function isInside(
  { firstSeq, messageCount }: { firstSeq: number; messageCount: number },
  range: LogRange,
): boolean {
  return firstSeq >= range.firstSeq && firstSeq + messageCount <= range.endSeq;
}

/** Without what bytes are wrapped in, and which members come first. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify([value], (_, part: unknown) => {
      if (part instanceof Uint8Array) return [...part];
      if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
      if (part instanceof Map) return [...part];
      if ('type' in part && part.type === 'Buffer') return (part as unknown as { data: unknown }).data;
      return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
    }),
  );
}
