/** Some kills of `npm run crash` with a fixed seed. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { runCrash } from './crash/run-crash.js';

test(
  'tsdb killed during ingest, compaction, delete and vacuum: the same answers, and no file left over',
  { timeout: 240_000 },
  async (context) => {
    const { complaints, kills, rows } = await runCrash(
      {
        after(clean) {
          context.after(clean);
        },
      },
      {
        kills: 4,
        seed: 1,
        note: (line) => {
          context.diagnostic(line);
        },
      },
    );
    assert.deepEqual(complaints, []);
    assert.deepEqual([...kills.values()], [1, 1, 1, 1]);
    assert(rows > 300);
  },
);
