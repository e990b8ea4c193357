/**
 * Shows how the data flows, until it is told to stop: numbers that change in their place on a terminal, a line every five
 * seconds elsewhere.
 */
import { createLogUpdate } from 'log-update';
import type { Clock } from '@varve/common/clock.js';
import { isExampleAnswered, readState } from './read-state.js';
import { demoHeading, demoLine, demoView, type DemoFacts } from './view.js';

const terminalEveryMs = 1_000;
const plainEveryMs = 5_000;
const answerPollMs = 200;
const answerLimitMs = 20_000;

/** Begins when the command that it prints has something to answer. */
export async function show(
  facts: DemoFacts,
  clock: Clock,
  stdout: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<void> {
  if (facts.hasSimulator) await untilThereIsAnAnswer(facts, clock, signal);
  if (signal.aborted) return;
  stdout.write(demoHeading(facts));
  // Some terminals of containers have no size.
  if (stdout.isTTY && stdout.columns > 0) await showBlock(facts, clock, stdout, signal);
  else await showLines(facts, clock, stdout, signal);
}

async function untilThereIsAnAnswer(facts: DemoFacts, clock: Clock, signal: AbortSignal): Promise<void> {
  const endMs = clock.monotonicMs() + answerLimitMs;
  while (!signal.aborted && clock.monotonicMs() < endMs) {
    if (await isExampleAnswered(facts)) return;
    await clock.sleep(answerPollMs, signal);
  }
}

async function showBlock(
  facts: DemoFacts,
  clock: Clock,
  stdout: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<void> {
  const write = createLogUpdate(stdout);
  while (!signal.aborted) {
    write(demoView(await readState(facts, clock)));
    await clock.sleep(terminalEveryMs, signal);
  }
  write.done();
}

async function showLines(
  facts: DemoFacts,
  clock: Clock,
  stdout: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    stdout.write(`${demoLine(await readState(facts, clock))}\n`);
    await clock.sleep(plainEveryMs, signal);
  }
}
