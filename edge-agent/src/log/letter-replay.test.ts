import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { BlockBuilder, readBlock } from './block.js';
import type { DeadLetter } from './edge-log.js';
import { SqliteLog } from './sqlite-log.js';

/** Four messages, of which the second and the third are dead letters. */
function openLog(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'varve-log-'));
  const open = () =>
    new SqliteLog({ path: join(directory, 'edge.sqlite'), agent: 'press', newEpoch: '20261122t000000z-1' });
  let log = open();
  context.after(() => {
    log.close();
    rmSync(directory, { recursive: true });
  });
  const block = new BlockBuilder();
  for (let seq = 1; seq <= 4; seq++)
    block.add({ topic: 'a', payload: Buffer.from(String(seq)), arrivedMs: 1_000 + seq, packetId: seq });
  log.append([{ source: 'plant', messageCount: 4, bytes: block.finish() }]);
  const deadLetters = [letter(2, ['x', 'y']), letter(3, [])];
  log.stage({ shipments: [], deadLetters, nextSeq: 5, nowMs: 7 });
  return {
    get log() {
      return log;
    },
    reopen() {
      log.close();
      log = open();
      return log;
    },
  };
}

function letter(seq: number, refusedBy: string[]): DeadLetter {
  const [stream = null] = refusedBy;
  const message = {
    seq,
    source: 'plant',
    topic: 'a',
    payload: Buffer.from(String(seq)),
    arrivedMs: 1_000 + seq,
  };
  return { ...message, stream, refusedBy, code: stream ? 'not_json' : 'no_stream', reason: 'r' };
}

const choicesOf = (log: SqliteLog) => log.read(0, 1e9).map(({ choices }) => [...(choices ?? [])]);
const totalsOf = (log: SqliteLog) => log.losses().totals.map(({ kind, count }) => [kind, count]);

test('a replayed letter is a message at the end of the log, as it came, and the ledger says so', (context) => {
  const opened = openLog(context);
  const letters = [
    { seq: 2, readBy: ['x', 'y'] },
    { seq: 3, readBy: ['z'] },
  ];
  const losses = opened.log.replayDeadLetters({ letters, nowMs: 9 });
  assert.deepEqual(
    losses.map(({ kind, stream, count, firstSeq }) => [kind, stream, count, firstSeq]),
    [
      ['replayed', 'x', 1, 2],
      ['replayed', null, 1, 3],
    ],
  );
  const log = opened.reopen();
  const [, replayed] = log.read(0, 1e9);
  assert(replayed);
  const { firstSeq, source, arrival } = replayed;
  assert.deepEqual([firstSeq, source, arrival], [5, 'plant', undefined]);
  assert.deepEqual(
    [...readBlock(replayed.bytes)].map(({ topic, payload, arrivedMs, packetId }) => [
      ...[topic, Buffer.from(payload).toString(), arrivedMs, packetId],
    ]),
    [
      ['a', '2', 1_002, 0],
      ['a', '3', 1_003, 0],
    ],
  );
  assert.deepEqual(log.deadLetters(10), []);
  assert.deepEqual(totalsOf(log), [
    ['dead_letter', 2],
    ['replayed', 2],
  ]);
  assert.equal(log.state().endSeq, 7);
});

test('the message a letter was made of is not for those that refused it, before and after its replay', (context) => {
  const { log } = openLog(context);
  const before = [
    [2, { notFor: ['x', 'y'] }],
    [3, { notFor: 'all' }],
  ];
  assert.deepEqual(choicesOf(log), [before]);
  log.replayDeadLetters({
    letters: [
      { seq: 2, readBy: ['x', 'y'] },
      { seq: 3, readBy: ['z'] },
    ],
    nowMs: 9,
  });
  assert.deepEqual(choicesOf(log), [
    before,
    [
      [5, { onlyFor: ['x', 'y'], notFor: [] }],
      [6, { onlyFor: ['z'], notFor: [] }],
    ],
  ]);
});

test('what one of its streams still refuses stays a letter for that stream alone, and is not counted as replayed', (context) => {
  const { log } = openLog(context);
  const left = { stream: 'y', code: 'no_time', reason: 'still', refusedBy: ['y'] };
  assert.deepEqual(log.replayDeadLetters({ letters: [{ seq: 2, readBy: ['x'], left }], nowMs: 9 }), []);
  const [, kept] = log.deadLetters(10);
  assert.deepEqual([kept?.seq, kept?.refusedBy, kept?.code], [2, ['y'], 'no_time']);
  assert.deepEqual(choicesOf(log)[1], [[5, { onlyFor: ['x'], notFor: [] }]]);
  log.replayDeadLetters({ letters: [{ seq: 2, readBy: ['y'] }], nowMs: 9 });
  assert.deepEqual(choicesOf(log)[0]?.[0], [2, { notFor: ['x', 'y'] }]);
  assert.deepEqual(choicesOf(log)[2], [[6, { onlyFor: ['y'], notFor: [] }]]);
});

test('a letter is replayed once, however often it is asked for', (context) => {
  const { log } = openLog(context);
  const request = { letters: [{ seq: 2, readBy: ['x'] }], nowMs: 9 };
  assert.equal(log.replayDeadLetters(request).length, 1);
  assert.deepEqual(log.replayDeadLetters(request), []);
  assert.equal(log.state().endSeq, 6);
});

test('who is to read a message is forgotten with its block', (context) => {
  const { log } = openLog(context);
  log.replayDeadLetters({ letters: [{ seq: 2, readBy: ['x'] }], nowMs: 9 });
  const block = new BlockBuilder();
  block.add({ topic: 'a', payload: Buffer.from('7'), arrivedMs: 1, packetId: 7 });
  log.append([{ source: 'plant', messageCount: 1, bytes: block.finish() }]);
  log.stage({ shipments: [], deadLetters: [], nextSeq: 6, nowMs: 9 });
  log.releaseRecent();
  log.confirm(1);
  assert.deepEqual(
    log.read(0, 1e9).map(({ firstSeq, choices }) => [firstSeq, choices]),
    [[6, undefined]],
  );
});
