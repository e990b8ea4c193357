/**
 * The processes of the demo as a picture: started in order, watched, stopped in the reverse.
 *
 *     simulator ─▶ broker ─▶ agent ─▶ <data>/lake ─▶ store ─▶ you
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Clock } from '@varve/common/clock.js';
import { Child, type ChildPlan } from './child.js';
import type { DemoFolder } from './demo-folder.js';
import { isListening } from './ports.js';
import { isHealthy } from './read-state.js';
import type { DemoFacts } from './view.js';

/** In the order in which they start; agent and store as their users start them. */
export function planChildren(facts: DemoFacts, folder: DemoFolder): ChildPlan[] {
  const { mqttPort, httpPort, edgePort, hasSimulator } = facts;
  const broker: ChildPlan = {
    name: 'broker',
    program: pathOf('deploy/dist/demo/broker.js'),
    args: ['--port', String(mqttPort)],
    logPath: folder.logPath('broker'),
    isReady: () => isListening(mqttPort),
  };
  const store: ChildPlan = {
    name: 'varve-tsdb',
    program: pathOf('tsdb/bin/varve-tsdb'),
    args: ['serve', '--config', folder.tsdbConfig],
    logPath: folder.logPath('varve-tsdb'),
    isReady: () => isHealthy(httpPort),
  };
  const agent: ChildPlan = {
    name: 'varve-edge',
    program: pathOf('edge-agent/bin/varve-edge'),
    args: ['run', '--config', folder.edgeConfig],
    logPath: folder.logPath('varve-edge'),
    isReady: () => isHealthy(edgePort),
  };
  const simulator: ChildPlan = {
    name: 'simulator',
    program: pathOf('deploy/dist/demo/simulator.js'),
    args: ['--mqtt', `mqtt://127.0.0.1:${mqttPort}`],
    logPath: folder.logPath('simulator'),
    isReady: () => Promise.resolve(true),
  };
  return hasSimulator ? [broker, store, agent, simulator] : [broker, store, agent];
}

function pathOf(pathFromRoot: string): string {
  return fileURLToPath(new URL(`../../../${pathFromRoot}`, import.meta.url));
}

export interface RunOptions {
  readonly clock: Clock;
  /** Asks for an orderly stop. */
  readonly stop: AbortSignal;
  /** Asks for an end at once. */
  readonly force: AbortSignal;
  readonly onStart: (name: string) => void;
  readonly onStop: (names: readonly string[]) => void;
  /** Which one ended unasked or did not become ready, and what it wrote last. */
  readonly onFailure: (description: string) => void;
  /** Runs while all of them do; its signal aborts when that is over. */
  readonly whileRunning: (over: AbortSignal) => Promise<void>;
}

/** Runs until it is told to stop, or one of them ends unasked. Whether it was the former. */
export async function runChildren(plans: readonly ChildPlan[], options: RunOptions): Promise<boolean> {
  const { clock, force, onStop, onFailure } = options;
  const children: Child[] = [];
  try {
    const failed = (await startAll(plans, children, options)) ?? (await watch(children, options));
    if (failed !== undefined) onFailure(failed.describeEnd());
    return failed === undefined;
  } finally {
    children.reverse();
    onStop(children.map(({ name }) => name));
    for (const child of children) await child.stop(clock, force);
  }
}

/** Starts each when the one before it is ready, and adds it to `children`. The one that did not become so, if any. */
async function startAll(
  plans: readonly ChildPlan[],
  children: Child[],
  { clock, stop, onStart }: RunOptions,
): Promise<Child | undefined> {
  for (const plan of plans) {
    if (stop.aborted) return undefined;
    onStart(plan.name);
    const child = new Child(plan);
    children.push(child);
    if (!(await child.ready(clock, stop)) && !isAborted(stop)) return child;
  }
  return undefined;
}

/** The child that ended, or undefined when `stop` aborted. */
async function watch(
  children: readonly Child[],
  { stop, whileRunning }: RunOptions,
): Promise<Child | undefined> {
  const over = new AbortController();
  const running = whileRunning(over.signal);
  const ended = await Promise.race([untilAborted(stop), ...children.map(untilEnded)]);
  over.abort();
  await running;
  return ended;
}

async function untilEnded(child: Child): Promise<Child> {
  await child.ended();
  return child;
}

async function untilAborted(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await once(signal, 'abort');
}

/** The signal may have aborted during an `await`, which the compiler does not see. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
