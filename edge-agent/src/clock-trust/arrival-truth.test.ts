/** Arrival times are true where they can be, and the same rows come out however often the agent is killed. */
import { strict as assert } from 'node:assert';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Gateway } from './gateway.test.fixture.js';

const forever = 1e12;
const minute = 60_000;
const hour = 60 * minute;

async function gatewayOf(context: TestContext, patienceMs = forever): Promise<Gateway> {
  const gateway = await Gateway.start(patienceMs);
  context.after(() => gateway.close());
  return gateway;
}

const lossesOf = (gateway: Gateway) =>
  gateway.log
    .losses()
    .totals.filter(({ kind }) => kind.startsWith('clock'))
    .map(({ kind, count, lastReason }) => [kind, count, lastReason]);

test('rows wait for the clock, are put right when it comes, and the ledger says so', async (context) => {
  const gateway = await gatewayOf(context);
  await gateway.pass(5_000);
  await gateway.receive(3);
  await gateway.live({ isStoreThere: true });
  assert.equal(gateway.shipped.length, 0);
  await gateway.pass(hour);
  await gateway.setRight();
  await gateway.receive(2);
  await gateway.live({ isStoreThere: true });
  requireTrue(gateway);
  assert.equal(gateway.shipped.length, 5);
  const [kind, count, reason] = lossesOf(gateway)[0] ?? [];
  assert.deepEqual([kind, count], ['clock_corrected', 3]);
  assert.match(String(reason), /put right by \+\d+ d/);
});

test('the time of the last shutdown looks right, and is not taken for it', async (context) => {
  const gateway = await gatewayOf(context);
  await gateway.setRight();
  await gateway.receive(1);
  await gateway.live({ isStoreThere: true });
  await gateway.reboot(3 * hour, true);
  await gateway.receive(2);
  await gateway.live({ isStoreThere: true });
  assert.equal(gateway.shipped.length, 1);
  await gateway.setRight();
  await gateway.live({ isStoreThere: true });
  requireTrue(gateway);
  assert.match(String(lossesOf(gateway)[0]?.[2]), /put right by \+3 h$/);
});

test('when patience is over, rows go with the time they have, and the ledger says so', async (context) => {
  const gateway = await gatewayOf(context, minute);
  await gateway.receive(3);
  await gateway.live({ isStoreThere: true });
  assert.equal(gateway.shipped.length, 0);
  await gateway.pass(minute);
  for (let round = 0; round < 4; round++) {
    await gateway.live({ isStoreThere: true });
    await gateway.receive(1);
  }
  assert.equal(gateway.facts.state, 'untrusted');
  assert.deepEqual(
    gateway.shipped.map(({ value }) => value),
    [0, 1, 2, 3, 4, 5],
  );
  assert(
    gateway.shipped.every(({ timeMs }) => timeMs < hour),
    '1970, as it said',
  );
  assert.deepEqual(
    lossesOf(gateway).map(([kind]) => kind),
    ['clock_untrusted'],
  );
  // What is in no shipment yet is put right all the same.
  await gateway.setRight();
  await gateway.live({ isStoreThere: true });
  const last = gateway.shipped.find(({ value }) => value === 6);
  assert(isTrue(gateway, last));
});

test('an outage without a clock costs the first window, not the backlog', async (context) => {
  const gateway = await gatewayOf(context, minute);
  for (let index = 0; index < 20; index++) {
    await gateway.receive(10);
    await gateway.pass(10 * minute);
    await gateway.live({ isStoreThere: false });
  }
  await gateway.live({ isStoreThere: true });
  await gateway.setRight();
  await gateway.live({ isStoreThere: true });
  assert.equal(new Set(gateway.shipped.map(({ value }) => value)).size, 200);
  const wrong = gateway.shipped.filter((row) => !isTrue(gateway, row));
  assert(wrong.length <= 40, `${wrong.length} rows were taken at the clock's word`);
});

test('what was learned of the clock does not change a shipment that is made again', async (context) => {
  const gateway = await gatewayOf(context, minute);
  await gateway.receive(3);
  await gateway.pass(minute);
  await gateway.live({ isStoreThere: false });
  await gateway.setRight();
  await gateway.live({ isStoreThere: false });
  assert.equal(gateway.facts.state, 'trusted');
  assert.equal(await gateway.requireRemade(), 1);
});

test('a window that is open when the clock is set is read again', async (context) => {
  const gateway = await gatewayOf(context, minute);
  await gateway.pass(minute);
  for (let index = 0; index < 5; index++) await gateway.receive(10);
  await gateway.live({ isStoreThere: true, isSetMeanwhile: true });
  requireOnce(gateway);
  const right = gateway.shipped.filter((row) => isTrue(gateway, row)).map(({ value }) => value);
  assert(right.includes(45) && !right.includes(5), `right are ${right.join()}`);
});

const commands = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('receive'), count: fc.integer({ min: 1, max: 25 }) }),
    fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 0, max: 6 * hour }) }),
    fc.record({ kind: fc.constant('set wrong'), wallMs: fc.integer({ min: 0, max: Date.UTC(2025) }) }),
    fc.record({ kind: fc.constant('set right') }),
    fc.record({ kind: fc.constant('restart') }),
    fc.record({
      kind: fc.constant('reboot'),
      offMs: fc.integer({ min: 1, max: 72 * hour }),
      isTimeSaved: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('live'),
      isStoreThere: fc.boolean(),
      isSetMeanwhile: fc.boolean(),
      stepsUntilKilled: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 60 })),
    }),
  ),
  { maxLength: 16 },
);

interface Command {
  readonly kind: string;
  readonly count?: number;
  readonly ms?: number;
  readonly wallMs?: number;
  readonly offMs?: number;
  readonly isTimeSaved?: boolean;
  readonly isStoreThere?: boolean;
  readonly isSetMeanwhile?: boolean;
  readonly stepsUntilKilled?: number;
}

async function run(gateway: Gateway, command: Command): Promise<void> {
  const { kind, count = 0, ms = 0, wallMs = 0, offMs = 0, isTimeSaved = false } = command;
  if (kind === 'receive') await gateway.receive(count);
  if (kind === 'pass') await gateway.pass(ms);
  if (kind === 'set wrong') await gateway.setWrong(wallMs);
  if (kind === 'set right') await gateway.setRight();
  if (kind === 'restart') await gateway.restart();
  if (kind === 'reboot') await gateway.reboot(offMs, isTimeSaved);
  const { isStoreThere = true, isSetMeanwhile = false, stepsUntilKilled = Infinity } = command;
  if (kind === 'live') await gateway.live({ isStoreThere, isSetMeanwhile, stepsUntilKilled });
}

for (const patienceMs of [forever, minute])
  test(`boots, clocks and kills in any order, patience ${patienceMs} ms: each row once, true where it can be`, async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (schedule) => {
        const gateway = await Gateway.start(patienceMs);
        try {
          for (const command of schedule) await run(gateway, command);
          await gateway.setRight();
          await gateway.live({ isStoreThere: false });
          await gateway.requireRemade();
          await gateway.live({ isStoreThere: true });
          requireOnce(gateway);
          if (patienceMs === forever) requireTrue(gateway);
        } finally {
          gateway.close();
        }
      }),
      { numRuns: 40 },
    );
  });

function requireOnce({ shipped, sent }: Gateway): void {
  const values = shipped.map(({ value }) => value).sort((a, b) => a - b);
  assert.deepEqual(values, [...sent.keys()]);
}

/** Of every boot that came to be trusted; the others cannot be known. */
function requireTrue(gateway: Gateway): void {
  for (const row of gateway.shipped)
    assert(isTrue(gateway, row), `message ${row.value} is at ${new Date(row.timeMs).toISOString()}`);
}

function isTrue({ sent }: Gateway, row: { value: number; timeMs: number } | undefined): boolean {
  const message = sent[row?.value ?? -1];
  assert(row && message);
  return !message.boot.isKnown || Math.abs(row.timeMs - message.trueMs) < 1_000;
}
