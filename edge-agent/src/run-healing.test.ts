import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import { runLoops } from '@varve/common/run-loops.js';
import { BlockBuilder } from './log/block.js';
import { databaseFile, startEdgeLog } from './log/start-edge-log.js';
import { watchDamage } from './log/watch-damage.js';
import { runHealing } from './run-healing.js';

const options = { clock: systemClock, databasePath: 'edge.sqlite' };
const damaged = () => new Failure('log_corrupt', 'a page is gone');

test('damage met while running is salvaged by the next run; damaged at once again, it ends and says what to do', async () => {
  const signal = new AbortController().signal;
  const given: (string | undefined)[] = [];
  await runHealing(
    (damage) => {
      given.push(damage);
      return given.length < 2 ? Promise.reject(damaged()) : Promise.resolve();
    },
    options,
    signal,
  );
  assert.deepEqual(given, [undefined, 'a page is gone']);
  let runs = 0;
  await assert.rejects(
    runHealing(() => Promise.reject((runs++, damaged())), options, signal),
    (error) => isFailure(error, 'log_corrupt') && (error.hint ?? '').includes('doctor --repair'),
  );
  assert.equal(runs, 2);
});

test('other failures end it at once', async () => {
  let runs = 0;
  const denied = new Failure('data_dir_in_use', 'locked');
  await assert.rejects(
    runHealing(() => Promise.reject((runs++, denied)), options, new AbortController().signal),
    denied,
  );
  assert.equal(runs, 1);
});

test('a database damaged under a running log is met, salvaged, and goes on', async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'varve-heal-'));
  context.after(() => rmSync(dataDir, { recursive: true }));
  const path = join(dataDir, databaseFile);
  const start = (damage?: string) =>
    startEdgeLog({ dataDir, agent: 'press', newEpoch: '20261122t000000z-1', damage });
  const stop = new AbortController();
  const ends: number[] = [];
  await runHealing(
    async (damage) => {
      const { log, untilDamaged } = watchDamage(await start(damage));
      const work = async () => {
        if (damage === undefined) {
          for (let block = 0; block < 300; block++) await log.append([randomBlock(block)]);
          for (const file of [path, `${path}-wal`])
            writeFileSync(file, Buffer.alloc(statSync(file).size, 0xa5), { flag: 'r+' });
        }
        for (let seq = 1; seq < 301;) {
          const last = (await log.read(seq, 1_000_000)).at(-1);
          if (!last) break;
          seq = last.firstSeq + last.messageCount;
        }
        const { totals } = await log.losses();
        ends.push(totals[0]?.count ?? 0, (await log.append([randomBlock(301)]))[0] ?? 0);
      };
      try {
        await runLoops(stop.signal, [untilDamaged, async () => work().finally(() => stop.abort())]).catch(
          (error: unknown) => {
            assert(isFailure(error, 'log_corrupt'), String(error));
            throw error;
          },
        );
      } finally {
        await log.close().catch(() => undefined);
      }
    },
    options,
    // Only the loops of a run are stopped by the work's end.
    new AbortController().signal,
  );
  assert.deepEqual(ends, [300, 301], 'all of it was lost and is counted, and the numbers go on');
});

function randomBlock(number: number) {
  const builder = new BlockBuilder();
  const payload = Buffer.from(
    Array.from({ length: 20_000 }, (_, index) => Math.imul(number + index, 0x9e3779b1) >>> 24),
  );
  builder.add({ topic: 'a', payload, arrivedMs: 1 + number, packetId: 1 });
  return { source: 'plant', messageCount: 1, bytes: builder.finish() };
}
