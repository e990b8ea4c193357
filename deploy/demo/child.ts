/**
 * One process of the demo: its output goes to a log file, it is waited for until it is ready, watched, and stopped.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import type { Clock } from '@varve/common/clock.js';

export interface ChildPlan {
  readonly name: string;
  /** A script for Node, or a command as npm puts it on the path: a shell script that becomes one. */
  readonly program: string;
  readonly args: readonly string[];
  readonly logPath: string;
  /** Whether it can be used by those that start after it. */
  readonly isReady: () => Promise<boolean>;
}

const logBytesMax = 10_000_000;
const lastLineCount = 15;
const readyPollMs = 100;
const readyLimitMs = 30_000;
const stopLimitMs = 10_000;

export class Child {
  readonly name: string;
  readonly #plan: ChildPlan;
  readonly #process: ChildProcess;

  constructor(plan: ChildPlan) {
    this.name = plan.name;
    this.#plan = plan;
    this.#process = spawnLogged(plan);
  }

  #isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Resolves when the process ends, for whatever reason. */
  async ended(): Promise<void> {
    if (this.#isRunning()) await once(this.#process, 'exit');
  }

  /** False if it ended or is not ready in time, or `signal` aborted. */
  async ready(clock: Clock, signal: AbortSignal): Promise<boolean> {
    const endMs = clock.monotonicMs() + readyLimitMs;
    while (this.#isRunning() && !signal.aborted && clock.monotonicMs() < endMs) {
      if (await this.#plan.isReady()) return true;
      await clock.sleep(readyPollMs, signal);
    }
    return false;
  }

  /** An orderly stop; by force after ten seconds, or at once when `force` aborts. */
  async stop(clock: Clock, force: AbortSignal): Promise<void> {
    if (!this.#isRunning()) return;
    this.#process.kill('SIGTERM');
    const over = new AbortController();
    const limit = clock.sleep(stopLimitMs, AbortSignal.any([over.signal, force]));
    await Promise.race([this.ended(), limit]);
    over.abort();
    if (this.#isRunning()) this.#process.kill('SIGKILL');
    await this.ended();
  }

  /** How it ended and what it wrote last, for a person. */
  describeEnd(): string {
    const { exitCode, signalCode } = this.#process;
    const how = this.#isRunning()
      ? `is not ready after ${readyLimitMs / 1_000} s`
      : `ended unexpectedly (${signalCode ?? `exit code ${exitCode ?? 'unknown'}`})`;
    return `${this.name} ${how}. The last lines of ${this.#plan.logPath}:\n${lastLines(this.#plan.logPath)}\n`;
  }
}

/**
 * In a process group of its own: Ctrl-C reaches every process of the terminal's group at once, and these are to stop one
 * after the other.
 */
function spawnLogged({ program, args, logPath }: ChildPlan): ChildProcess {
  const log = openLog(logPath);
  const [command, first] = program.endsWith('.js') ? [process.execPath, [program]] : [program, []];
  try {
    return spawn(command, [...first, ...args], {
      env: environment(),
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
  } finally {
    closeSync(log);
  }
}

/** What a command's own `node` cannot be told by arguments; it is the one that runs the demo. */
function environment(): NodeJS.ProcessEnv {
  const stopWithParent = new URL('stop-with-parent.js', import.meta.url).href;
  const { NODE_OPTIONS = '', PATH = '' } = process.env;
  return {
    ...process.env,
    NODE_OPTIONS: `${NODE_OPTIONS} --enable-source-maps --import ${stopWithParent}`.trim(),
    PATH: `${dirname(process.execPath)}${delimiter}${PATH}`,
  };
}

/** To append to; emptied first where it has grown large. */
function openLog(path: string): number {
  const log = openSync(path, 'a');
  if (statSync(path).size > logBytesMax) truncateSync(path);
  return log;
}

function lastLines(path: string): string {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lastLineCount).join('\n');
}
