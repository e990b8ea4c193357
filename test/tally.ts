/**
 * Counts the events of a test run as node:test's own summary does, with two differences: a skip whose reason the caller
 * does not accept is a failure, and so is a test file without a test.
 */

export interface TestEvent {
  readonly outcome: 'pass' | 'fail';
  readonly name: string;
  readonly kind: 'test' | 'suite';
  /** The test file; node:test reports a file that crashed or has no test under its own path as a name. */
  readonly file: string;
  /** `true` where no reason was given. */
  readonly skip: string | boolean | undefined;
  readonly todo: string | boolean | undefined;
  /** node:test's `failureType`. */
  readonly failureType: string | undefined;
}

export interface Skip {
  readonly name: string;
  readonly reason: string;
}

export interface Tally {
  suites: number;
  pass: number;
  fail: number;
  cancelled: number;
  todo: number;
  readonly skips: Skip[];
  /** Failures that node:test does not know of. */
  readonly complaints: string[];
}

export function emptyTally(): Tally {
  return { suites: 0, pass: 0, fail: 0, cancelled: 0, todo: 0, skips: [], complaints: [] };
}

const cancelledTypes = new Set(['cancelledByParent', 'testAborted', 'testTimeoutFailure']);

/** `required`: what must not be missing, one word each, in any case of letters. */
export function countEvent(tally: Tally, event: TestEvent, required: readonly string[]): void {
  if (event.kind === 'suite') tally.suites++;
  else if (isSet(event.skip)) countSkip(tally, event, required);
  else if (isSet(event.todo)) tally.todo++;
  else if (event.outcome === 'fail')
    tally[cancelledTypes.has(event.failureType ?? '') ? 'cancelled' : 'fail']++;
  else if (event.name === event.file) complain(tally, `${event.name} has no test`);
  else tally.pass++;
}

function countSkip(tally: Tally, { name, skip }: TestEvent, required: readonly string[]): void {
  const reason = typeof skip === 'string' && skip !== '' ? skip : 'no reason given';
  if (required.some((need) => namesNeed(reason, need)))
    complain(tally, `${name} was skipped, and must not be here: ${reason}`);
  else tally.skips.push({ name, reason });
}

/** "needs a real S3 server: set …" names `s3`; what follows the colon is for people. */
function namesNeed(reason: string, need: string): boolean {
  const words = (reason.split(':')[0] ?? '').toLowerCase().split(/\W+/);
  return words[0] === 'needs' && words.includes(need.toLowerCase());
}

function complain(tally: Tally, complaint: string): void {
  tally.complaints.push(complaint);
  tally.fail++;
}

function isSet(directive: string | boolean | undefined): boolean {
  return directive !== undefined && directive !== false;
}

export function failedCount(tally: Tally): number {
  return tally.fail + tally.cancelled;
}

/** A run without a test has proved nothing. */
export function isSuccess(tally: Tally): boolean {
  return failedCount(tally) === 0 && tally.pass > 0;
}

/** The closing lines: node:test's own, what did not run and why, and a sentence. */
export function describeTally(tally: Tally, durationMs: number): string {
  const { suites, pass, fail, cancelled, skips, todo, complaints } = tally;
  const tests = pass + fail + cancelled + skips.length + todo;
  const counts = { tests, suites, pass, fail, cancelled, skipped: skips.length, todo };
  return [
    ...complaints.map((complaint) => `failed: ${complaint}`),
    ...(skips.length === 0
      ? []
      : ['did not run:', ...skips.map(({ name, reason }) => `  ${name}: ${reason}`)]),
    ...Object.entries(counts).map(([name, count]) => `# ${name} ${count}`),
    `# duration_ms ${Math.round(durationMs)}`,
    `${pass} passed, ${failedCount(tally)} failed, ${skips.length} skipped`,
    '',
  ].join('\n');
}
