/** Half a minute of `npm run torture` with a fixed seed, on a folder and – where there is one – on S3. */
import { strict as assert } from 'node:assert';
import { test, type TestContext } from 'node:test';
import { skipWithoutMosquitto, skipWithoutS3 } from './requirements.js';
import { Cleanups } from './torture/cleanups.js';
import { describeResult, runTorture, type TortureOptions } from './torture/run-torture.js';

const seed = 1;
const runMs = 20_000;
const limitMs = 270_000;

async function torture(context: TestContext, store: TortureOptions['store']): Promise<void> {
  const cleanups = new Cleanups((error) => context.diagnostic(`could not tidy up: ${String(error)}`));
  context.after(() => cleanups.run());
  const lines: string[] = [];
  const result = await runTorture(cleanups, {
    ...{ seed, runMs, store, agentCount: 2, tsdbCount: 2, messagesPerSecond: 300, damage: false },
    print: (line) => lines.push(line),
  });
  const summary = describeResult(result, seed);
  const { verdict, faults, crashes, complaints, keptFolder } = result;
  const account = [...lines, ...crashes, ...complaints, ...verdict.details, summary, keptFolder ?? ''].join(
    '\n',
  );
  assert.equal(keptFolder, undefined, account);
  assert.equal(verdict.lost, 0, account);
  assert.equal(verdict.duplicated, 0, account);
  assert(verdict.acknowledged > 1_000, account);
  assert(faults.length >= 8 && new Set(faults.map(({ kind }) => kind)).size >= 6, account);
  context.diagnostic(summary);
}

test(
  'twenty seconds of faults on every process, on disks and networks: no message is lost, none is there twice',
  { skip: skipWithoutMosquitto(), timeout: limitMs },
  (context) => torture(context, 'folder'),
);

test(
  'the same on S3 behind a proxy that delays, refuses, resets and loses answers',
  { skip: skipWithoutMosquitto() || skipWithoutS3(), timeout: limitMs },
  (context) => torture(context, 's3'),
);
