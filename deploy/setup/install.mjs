/**
 * Installs packages with npm, where any are missing; never changes `package-lock.json`.
 *
 * `npm install --no-save` and not `npm ci`: it adds what is missing to what is there, so that `npm test` after
 * `npm start` compiles nothing twice, and it takes the versions of the lockfile all the same.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { allWorkspaces, missingPackages } from './installed.mjs';
import { runQuietly } from './progress.mjs';

const installArgs = ['install', '--no-save', '--no-audit', '--no-fund', '--no-update-notifier'];

const compilerHint =
  'better-sqlite3 is compiled here where its ready-made binary cannot be downloaded from github.com.\n' +
  'That needs Python 3, make and a C++ compiler (Debian: apt-get install python3 make g++).\n';

/**
 * @param {string} root
 * @param {readonly string[] | undefined} workspaces those that are needed; undefined: all
 * @returns {Promise<number>} the exit code
 */
export async function installPackages(root, workspaces) {
  if (missingPackages(root, workspaces ?? allWorkspaces(root)).length > 0) {
    const selection = workspaces?.flatMap((name) => ['--workspace', name]) ?? [];
    const only = selection.length > 0 ? [...selection, '--include-workspace-root'] : [];
    return npm(root, 'installing packages (once, about a minute)', [...installArgs, ...only]);
  }
  return isBuiltForThisNode(root)
    ? 0
    : npm(root, 'compiling SQLite for this Node', ['rebuild', 'better-sqlite3']);
}

/**
 * False after a change of Node: the one package with native code for a single version of Node has to be built again. The
 * code is loaded and nothing made with it, for this process lives as long as the program that it starts.
 *
 * @param {string} root
 */
function isBuiltForThisNode(root) {
  const load = createRequire(join(root, 'edge-agent/package.json'));
  try {
    load('better-sqlite3/build/Release/better_sqlite3.node');
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {string} root
 * @param {string} what
 * @param {readonly string[]} args
 */
async function npm(root, what, args) {
  const program = npmProgram();
  const { exitCode, output } = await runQuietly(what, {
    command: program.command,
    args: [...program.args, ...args],
    cwd: root,
    env: { ...process.env, ...headersOfThisNode(program) },
  });
  if (exitCode !== 0 || /^npm warn/im.test(output)) process.stderr.write(output);
  if (exitCode !== 0 && output.includes('gyp')) process.stderr.write(compilerHint);
  return exitCode;
}

/** The npm that runs us, if one does; otherwise the one on the path. */
function npmProgram() {
  const path = process.env.npm_execpath ?? '';
  return path.endsWith('npm-cli.js')
    ? { command: process.execPath, args: [path] }
    : { command: 'npm', args: [] };
}

/**
 * Lets node-gyp compile with the headers that came with this Node, where they did, instead of downloading them: many
 * places reach a package registry and nothing else. npm warns of the second name since version 11; the node-gyp inside
 * npm 10 does not know the first.
 *
 * @param {{ command: string, args: string[] }} program
 * @returns {Record<string, string>}
 */
function headersOfThisNode({ command, args }) {
  const prefix = dirname(dirname(process.execPath));
  if (!existsSync(join(prefix, 'include/node/node.h'))) return {};
  const { stdout } = spawnSync(command, [...args, '--version'], {
    encoding: 'utf8',
    shell: command === 'npm',
  });
  return {
    [Number.parseInt(stdout) < 11 ? 'npm_config_nodedir' : 'npm_package_config_node_gyp_nodedir']: prefix,
  };
}
