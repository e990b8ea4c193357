import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { isCronExpression, UploadGate } from './upload-gate.js';

test('without a schedule the gate is always open', async () => {
  const gate = new UploadGate(undefined, () => undefined);
  gate.caughtUp();
  assert(gate.isOpen);
  await gate.stop();
});

test(
  'with a schedule it opens at the time, and closes when everything is shipped',
  { timeout: 10_000 },
  async () => {
    let gate: UploadGate | undefined;
    await new Promise<void>((resolve) => {
      gate = new UploadGate('* * * * * *', resolve);
      assert(!gate.isOpen);
    });
    assert(gate?.isOpen);
    gate.caughtUp();
    assert(!gate.isOpen);
    await gate.stop();
  },
);

test('cron expressions', () => {
  assert(isCronExpression('0 2 * * *'));
  assert(isCronExpression('*/30 * * * * *'));
  assert(!isCronExpression('at two'));
  assert(!isCronExpression('61 * * * *'));
});
