/**
 * What `npm start`, `npm test`, `npm run bench`, `npm run test:readers` and `npm run torture` do, in order: install what is missing, compile, run; `prepare` stops before the last. The
 * exit code of the first step that fails, or of the program, is the exit code of all.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { installPackages } from './install.mjs';
import { runQuietly } from './progress.mjs';

/**
 * @typedef {object} Task
 * @property {readonly string[] | undefined} workspaces those that must be installed; undefined: all
 * @property {readonly string[]} projects what `tsc -b` builds
 * @property {string | undefined} program undefined: nothing is run
 */

const orphanPollMs = 1_000;
const root = fileURLToPath(new URL('../..', import.meta.url));

/** @type {Readonly<Record<string, Task>>} */
const tasks = {
  start: {
    // Not `test`: one of its packages is a database of half a gigabyte.
    workspaces: ['common', 'edge-agent', 'tsdb', 'deploy'],
    projects: ['edge-agent', 'tsdb', 'deploy'],
    program: 'deploy/dist/demo/demo.js',
  },
  test: { workspaces: undefined, projects: ['.'], program: 'test/dist/run-tests.js' },
  bench: { workspaces: undefined, projects: ['.'], program: 'test/dist/bench/bench.js' },
  'test:readers': { workspaces: undefined, projects: ['.'], program: 'test/dist/readers/readers.js' },
  torture: { workspaces: undefined, projects: ['.'], program: 'test/dist/torture/torture.js' },
  crash: { workspaces: undefined, projects: ['.'], program: 'test/dist/crash/crash.js' },
  prepare: { workspaces: undefined, projects: ['.'], program: undefined },
};

/**
 * @param {readonly string[]} args the task's name and what follows it
 * @returns {Promise<number>} the exit code
 */
export async function runTask([name = '', ...args]) {
  const task = tasks[name];
  if (task === undefined) {
    process.stderr.write(`usage: node deploy/setup.mjs ${Object.keys(tasks).join('|')} [arguments]\n`);
    return 1;
  }
  const prepared = (await installPackages(root, task.workspaces)) || (await compile(task));
  if (prepared !== 0 || task.program === undefined) return prepared;
  return run(task.program, args);
}

/** @param {Task} task */
async function compile({ projects }) {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const { exitCode, output } = await runQuietly('compiling', {
    command: process.execPath,
    args: [compiler, '-b', ...projects],
    cwd: root,
    env: process.env,
  });
  if (exitCode !== 0) process.stderr.write(output);
  return exitCode;
}

/**
 * Becomes the program as far as a parent can: its streams, its exit code, its signals. A terminal sends Ctrl-C to every
 * process at once, a service manager only to this one; so all signals are handed on, and programs take those that come
 * within a moment for one.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
function run(program, args) {
  const child = spawn(process.execPath, ['--enable-source-maps', join(root, program), ...args], {
    stdio: 'inherit',
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => child.kill(signal));
  if (process.env.npm_lifecycle_event !== undefined) whenOrphaned(() => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
  });
}

/**
 * npm hands on SIGINT and SIGTERM only, and only to its own child: the scripts in package.json begin with `exec`, for a
 * shell between would keep them. What else ends npm is seen here.
 *
 * @param {() => void} act
 */
function whenOrphaned(act) {
  const parentId = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parentId) return;
    clearInterval(timer);
    act();
  }, orphanPollMs).unref();
}
