/**
 * Real processes for tests: started with their output kept, waited for with a limit, killed when the test ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import { systemClock } from '@varve/common/clock.js';

/** Whatever cleans up at its end: a `TestContext`. */
export interface Owner {
  after(clean: () => Promise<void>): void;
}

export interface ProcessOptions {
  readonly cwd?: string;
  /** Added to this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Of each process; what came before is dropped. */
const outputCharsMax = 1_000_000;
const pollEveryMs = 25;

export class TestProcess {
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  #stdout = '';
  #output = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    this.exited = whenExited(child);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-outputCharsMax);
      this.#output = (this.#output + text).slice(-outputCharsMax);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#output = (this.#output + text).slice(-outputCharsMax);
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the process did not start');
    return this.#child.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** Standard output and standard error, in order of arrival. */
  get output(): string {
    return this.#output;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** An orderly stop. @throws if it takes longer than `limitMs` */
  async stop(signal: NodeJS.Signals = 'SIGTERM', limitMs = 15_000): Promise<Exit> {
    this.signal(signal);
    await waitFor(
      `the process to stop after ${signal}`,
      () => !this.isRunning,
      limitMs,
      () => this.output,
    );
    return this.exited;
  }

  /** `kill -9`, as a power cut would have it. */
  async kill(): Promise<Exit> {
    this.signal('SIGKILL');
    return this.exited;
  }

  /** @throws with the output if it does not say so in time, or ends before it does */
  async waitForOutput(pattern: RegExp, limitMs = 15_000): Promise<RegExpExecArray> {
    return waitFor(
      `output like ${String(pattern)}`,
      () => {
        const match = pattern.exec(this.#output);
        if (match === null && !this.isRunning) throw new Error(`the process ended early:\n${this.#output}`);
        return match;
      },
      limitMs,
      () => this.output,
    );
  }
}

async function whenExited(child: ChildProcess): Promise<Exit> {
  const [code, signal] = (await once(child, 'exit')) as [Exit['code'], Exit['signal']];
  return { code, signal };
}

/** Starts a program, which is killed when its owner ends, should it still run. */
export function startProcess(
  owner: Owner,
  command: string,
  args: readonly string[],
  { cwd, env }: ProcessOptions = {},
): TestProcess {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const started = new TestProcess(child);
  owner.after(async () => {
    if (started.isRunning) await started.kill();
  });
  return started;
}

/** Starts a compiled program of ours. */
export function startNode(
  owner: Owner,
  script: string,
  args: readonly string[],
  options?: ProcessOptions,
): TestProcess {
  return startProcess(owner, process.execPath, ['--enable-source-maps', script, ...args], options);
}

type Absent = undefined | null | false;

/**
 * Asks until there is an answer, and returns it. What `condition` throws ends the waiting.
 *
 * @param describe more for the message when time is up
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Absent | Promise<T | Absent>,
  limitMs = 15_000,
  describe: () => string = () => '',
): Promise<T> {
  const endMs = systemClock.monotonicMs() + limitMs;
  for (;;) {
    const answer = await condition();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (systemClock.monotonicMs() > endMs)
      throw new Error(`waited ${limitMs} ms in vain for ${what}\n${describe()}`);
    await systemClock.sleep(pollEveryMs);
  }
}

/** Below the ports that a system gives out by itself, to servers that ask for port 0 and to connections. */
const freePorts = { first: 20_000, count: 10_000 };

/**
 * A port of the loopback that nobody listens on, by chance, so that processes that ask at once get different ones.
 * It stays free until it is used, and between a server's end and its next start: the system gives none of these to others.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = freePorts.first + randomInt(freePorts.count);
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port from ${freePorts.first} to ${freePorts.first + freePorts.count - 1}`);
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** Whether somebody answers on that port of the loopback. */
export async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
