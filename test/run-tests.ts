/**
 * `npm test [-- text …]`: every test of every package, each file in a process of its own; texts choose files by path.
 *
 * `VARVE_TEST_REQUIRE=mosquitto,s3` turns a skip for want of these into a failure, so that nothing goes untested where
 * they are meant to be there.
 */
import { availableParallelism } from 'node:os';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@varve/common/clock.js';
import { countEvent, describeTally, emptyTally, isSuccess, type Tally, type TestEvent } from './tally.js';
import { findTestFiles } from './test-files.js';

/** For one file. Tests with real processes take their time; one that hangs must not take the whole run with it. */
const fileTimeoutMs = 5 * 60_000;
const concurrencyMax = 4;

async function main(): Promise<void> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const files = findTestFiles(root, process.argv.slice(2));
  const required = (process.env.VARVE_TEST_REQUIRE ?? '').split(',').filter((need) => need !== '');
  const startedMs = systemClock.monotonicMs();
  if (files.length === 0) process.stdout.write('no test file has such a text in its path\n');
  const tally = files.length === 0 ? emptyTally() : await runFiles(files, required);
  process.stdout.write(`\n${describeTally(tally, systemClock.monotonicMs() - startedMs)}`);
  process.exitCode = isSuccess(tally) ? 0 : 1;
}

async function runFiles(files: readonly string[], required: readonly string[]): Promise<Tally> {
  const tally = emptyTally();
  const reporter = new spec();
  reporter.pipe(process.stdout, { end: false });
  const concurrency = Math.min(availableParallelism(), concurrencyMax);
  const events = run({ files: [...files], concurrency, timeout: fileTimeoutMs }) as AsyncIterable<RunEvent>;
  for await (const event of events) {
    if (event.type === 'test:pass' || event.type === 'test:fail')
      countEvent(tally, toTestEvent(event), required);
    if (!isCount(event)) reporter.write(event);
  }
  reporter.end();
  await finished(reporter);
  return tally;
}

/** What node:test documents of its events, as far as it is read here. */
interface RunEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly nesting?: number;
    readonly message?: string;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly details?: { readonly type?: string; readonly error?: { readonly failureType?: string } };
  };
}

function toTestEvent({ type, data }: RunEvent): TestEvent {
  return {
    outcome: type === 'test:pass' ? 'pass' : 'fail',
    name: data.name ?? '',
    kind: data.details?.type === 'suite' ? 'suite' : 'test',
    file: data.file ?? '',
    skip: data.skip,
    todo: data.todo,
    failureType: data.details?.error?.failureType,
  };
}

const countPattern = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

/** node:test's own summary, which comes as diagnostics of the run as a whole; ours stands in its place. */
function isCount({ type, data }: RunEvent): boolean {
  return (
    type === 'test:diagnostic' &&
    data.nesting === 0 &&
    data.file === undefined &&
    countPattern.test(data.message ?? '')
  );
}

await main();
