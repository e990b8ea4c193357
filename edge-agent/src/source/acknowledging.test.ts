import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { encodePubacks } from './mqtt-connection.js';
import { planGroupMessagesMax } from './mqtt-source.js';

test('PUBACKs are four bytes each, in order', () => {
  assert.equal(encodePubacks([1, 65_535, 258]).toString('hex'), '40020001' + '4002ffff' + '40020102');
});

test('a group never waits for more messages than the broker sends without an acknowledgement', () => {
  const receiveMaximum = 1_000;
  assert.equal(planGroupMessagesMax(2_000, 5, { receiveMaximum }), 500);
  assert.equal(planGroupMessagesMax(300, 5, { receiveMaximum }), 300);
  assert.equal(planGroupMessagesMax(2_000, 5, { receiveMaximum: 1 }), 1);
  assert.equal(planGroupMessagesMax(2_000, 4, { receiveMaximum }), 20);
});
