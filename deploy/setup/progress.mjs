/**
 * Runs a program that a person has to wait for: one line that counts the seconds, its output kept aside.
 */
import { spawn } from 'node:child_process';
import process from 'node:process';

/** A program that answers sooner gets no line at all. */
const firstLineAfterMs = 1_000;
const terminalTickMs = 1_000;
const plainTickMs = 15_000;

/**
 * @typedef {object} Command
 * @property {string} command
 * @property {readonly string[]} args
 * @property {string} cwd
 * @property {NodeJS.ProcessEnv} env
 */

/**
 * @param {string} what the text of the line
 * @param {Command} program
 * @returns {Promise<{ exitCode: number, output: string }>} both of its streams, in order of arrival
 */
export async function runQuietly(what, program) {
  const line = startLine(what);
  const result = await capture(program);
  line.end(result.exitCode === 0 ? 'done' : 'failed');
  return result;
}

/** @param {string} what */
function startLine(what) {
  const startedMs = performance.now();
  const elapsed = () => `${Math.round((performance.now() - startedMs) / 1000)} s`;
  const isTerminal = process.stdout.isTTY;
  /** @param {string} state */
  const write = (state) =>
    process.stdout.write(isTerminal ? `\r\x1b[K${what} … ${state}` : `${what} … ${state}\n`);
  /** @type {NodeJS.Timeout | undefined} */
  let ticks;
  const first = setTimeout(() => {
    write(elapsed());
    ticks = setInterval(() => write(elapsed()), isTerminal ? terminalTickMs : plainTickMs);
  }, firstLineAfterMs);
  return {
    /** @param {string} outcome */
    end(outcome) {
      clearTimeout(first);
      if (ticks === undefined) return;
      clearInterval(ticks);
      write(`${outcome} in ${elapsed()}`);
      if (isTerminal) process.stdout.write('\n');
    },
  };
}

/**
 * @param {Command} program
 * @returns {Promise<{ exitCode: number, output: string }>}
 */
function capture({ command, args, cwd, env }) {
  const child = spawn(command, args, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Windows starts `npm.cmd` through a shell only.
    shell: process.platform === 'win32' && command === 'npm',
  });
  /** @type {string[]} */
  const chunks = [];
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (/** @type {string} */ text) => chunks.push(text));
  return new Promise((resolve) => {
    child.on('error', (error) =>
      resolve({ exitCode: 1, output: `cannot run ${command}: ${error.message}\n` }),
    );
    child.on('close', (code) => resolve({ exitCode: code ?? 1, output: chunks.join('') }));
  });
}
