import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatInboxKey } from '@varve/common/contract/object-keys.js';
import { laneAppId, parseLaneAppId } from '../delta/lane-app-id.js';
import type { InboxObject } from './list-inbox.js';
import { groupByLane, planIngest, stopLanesAt } from './plan-ingest.js';

const roomy = { commitBytesMax: 1_000, commitFilesMax: 100 };

/** `a3` is seq 3 of agent a; all are 10 bytes. */
function toObject(text: string): InboxObject {
  const parts = {
    agent: text.slice(0, 1),
    epoch: 'e1',
    lane: 'data',
    database: 'main',
    table: 't',
    seq: Number(text.slice(1)),
  };
  return { key: formatInboxKey(parts), parts, bytes: 10 };
}

const toText = ({ parts }: InboxObject) => `${parts.agent}${parts.seq}`;
const objectsOf = (texts: string) => texts.split(' ').filter(Boolean).map(toObject);
const appIdOf = (agent: string) => laneAppId({ agent, epoch: 'e1', lane: 'data' });

interface Case {
  readonly committed?: Readonly<Record<string, number>>;
  readonly quarantined?: Readonly<Record<string, readonly number[]>>;
  readonly limits?: Partial<typeof roomy>;
}

/** The plan as text: `commit | already committed | gaps`. */
function plan(waiting: string, { committed = {}, quarantined = {}, limits = {} }: Case = {}): string {
  const transactions = new Map(Object.entries(committed).map(([agent, seq]) => [appIdOf(agent), seq]));
  const passed = new Map(Object.entries(quarantined).map(([agent, seqs]) => [appIdOf(agent), new Set(seqs)]));
  const result = planIngest(groupByLane(objectsOf(waiting), transactions), passed, { ...roomy, ...limits });
  const gaps = result.gaps.map((gap) => `${gap.lane.agent}${gap.awaitedSeq}<${gap.firstWaitingSeq}`);
  return [
    result.commit.map(toText).join(' ') + (result.isCut ? ' …' : ''),
    result.alreadyCommitted.map(toText).join(' '),
    gaps.join(' '),
  ].join('|');
}

test('a lane begins with 1 and goes on in order', () => assert.equal(plan('a1 a2 a3'), 'a1 a2 a3||'));
test('nothing waits', () => assert.equal(plan(''), '||'));
test('a lane goes on after its last commit', () =>
  assert.equal(plan('a4 a5', { committed: { a: 3 } }), 'a4 a5||'));
test('what is committed is only deleted', () =>
  assert.equal(plan('a1 a2 a3', { committed: { a: 2 } }), 'a3|a1 a2|'));
test('all of it is committed', () => assert.equal(plan('a1 a2', { committed: { a: 9 } }), '|a1 a2|'));
test('a lane stops at a gap', () => assert.equal(plan('a1 a2 a4 a5'), 'a1 a2||a3<4'));
test('a lane that does not begin waits', () => assert.equal(plan('a2'), '||a1<2'));
test('a gap of one lane stops no other', () => assert.equal(plan('a2 b1 b2'), 'b1 b2||a1<2'));
test('only the first gap counts', () => assert.equal(plan('a2 a4 a6'), '||a1<2'));
test('a seq in quarantine is passed over', () =>
  assert.equal(plan('a1 a3', { quarantined: { a: [2] } }), 'a1 a3||'));
test('several in a row are passed over', () =>
  assert.equal(plan('a1 a5', { quarantined: { a: [2, 3, 4] } }), 'a1 a5||'));
test('a missing seq behind one in quarantine is a gap', () =>
  assert.equal(plan('a1 a4', { quarantined: { a: [2] } }), 'a1||a3<4'));
test("another lane's quarantine does not count", () =>
  assert.equal(plan('a1 a3', { quarantined: { b: [2] } }), 'a1||a2<3'));
test('a seq in quarantine that still waits is taken', () =>
  assert.equal(plan('a1 a2', { quarantined: { a: [2] } }), 'a1 a2||'));
test('lanes take turns', () => assert.equal(plan('a1 a2 a3 b1 b2 c1'), 'a1 b1 c1 a2 b2 a3||'));
test('files are limited, fairly', () =>
  assert.equal(plan('a1 a2 a3 b1', { limits: { commitFilesMax: 2 } }), 'a1 b1 …||'));
test('bytes are limited', () =>
  assert.equal(plan('a1 a2 a3', { limits: { commitBytesMax: 25 } }), 'a1 a2 …||'));
test('the first goes whatever its size', () =>
  assert.equal(plan('a1 a2', { limits: { commitBytesMax: 1 } }), 'a1 …||'));
test('limits that are just met cut nothing', () =>
  assert.equal(plan('a1 a2', { limits: { commitBytesMax: 20, commitFilesMax: 2 } }), 'a1 a2||'));

test('a lane stops at a shipment that has vanished, others go on', () => {
  const objects = objectsOf('a1 b1 a2 b2 a3');
  const missing = new Set(objects.filter((object) => toText(object) === 'a2'));
  assert.deepEqual(stopLanesAt(objects, missing).map(toText), ['a1', 'b1', 'b2']);
});

test('names of lanes in the log are read back, and those of others are not', () => {
  const name = { agent: 'press-hall-3', epoch: '0190', lane: 'data' };
  assert.equal(laneAppId(name), 'edge/press-hall-3/0190/data');
  assert.deepEqual(parseLaneAppId(laneAppId(name)), name);
  for (const other of ['spark-stream-7', 'edge/a/b', 'edge/a/b/c/d', 'edge//b/c'])
    assert.equal(parseLaneAppId(other), undefined, other);
});
