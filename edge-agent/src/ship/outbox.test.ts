import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { OutboxEntry } from '../log/edge-log.js';
import { planProtocolVersion } from '../source/mqtt-connection.js';
import { planUploads } from './outbox.js';

const entry = (id: number, table: string, lane = 'live'): OutboxEntry => ({
  ...{ id, lane, database: 'main', table, seq: id, file: `${id}`, rowCount: 1, bytes: 1 },
  ...{ firstLogSeq: 1, lastLogSeq: 1, stagedMs: 0 },
});
const ids = (entries: OutboxEntry[]) => entries.map(({ id }) => id);

test('nothing to upload', () => assert.deepEqual(planUploads([], 4), []));
test('one per table, the oldest', () =>
  assert.deepEqual(ids(planUploads([entry(1, 'a'), entry(2, 'a'), entry(3, 'b')], 4)), [1, 3]));
test('lanes of one table are ways of their own', () =>
  assert.deepEqual(ids(planUploads([entry(1, 'a'), entry(2, 'a', 'backlog')], 4)), [1, 2]));
test('no more than allowed at once', () =>
  assert.deepEqual(ids(planUploads([entry(1, 'a'), entry(2, 'b'), entry(3, 'c')], 2)), [1, 2]));

test('a broker that refuses MQTT 5, or hangs up on it, is asked for 3.1.1', () => {
  assert.equal(planProtocolVersion(5, 'version'), 4);
  assert.equal(planProtocolVersion(5, 'dropped'), 4);
  assert.equal(planProtocolVersion(5, 'other'), 5);
  assert.equal(planProtocolVersion(4, 'dropped'), 5);
});
