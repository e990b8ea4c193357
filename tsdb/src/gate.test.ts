import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Gate } from './gate.js';

test('lets as many in as may be inside, the others in the order they came', async () => {
  const gate = new Gate(1);
  const order: string[] = [];
  const leave = await gate.enter();
  const visits = ['first', 'second'].map((name) =>
    gate.run(async () => void order.push(await Promise.resolve(name))),
  );
  await turn();
  assert.deepEqual([gate.inside, gate.waiting, order], [1, 2, []]);
  leave();
  await Promise.all(visits);
  assert.deepEqual(order, ['first', 'second']);
  assert.equal(gate.inside, 0);
});

test('is full when nobody more may wait', async () => {
  const gate = new Gate(1, 1);
  const leave = await gate.enter();
  assert.equal(gate.isFull, false);
  const waiting = gate.enter();
  assert.equal(gate.isFull, true);
  leave();
  (await waiting)();
  assert.equal(gate.isFull, false);
});

test('lets those go who no longer want to wait', async () => {
  const gate = new Gate(1);
  const leave = await gate.enter();
  const impatient = new AbortController();
  const waiting = gate.enter(impatient.signal);
  impatient.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(gate.enter(impatient.signal), /enough/);
  assert.equal(gate.waiting, 0);
  leave();
  assert.equal(gate.inside, 0);
});

test('is left also after a failure', async () => {
  const gate = new Gate(1);
  await assert.rejects(
    gate.run(() => Promise.reject(new Error('failed'))),
    /failed/,
  );
  assert.equal(gate.inside, 0);
});
