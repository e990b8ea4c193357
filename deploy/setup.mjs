/**
 * The command behind `npm start`, `npm test`, `npm run bench` and `npm run torture`:
 * `node deploy/setup.mjs start|test|bench|torture|crash [arguments]`.
 *
 * Plain JavaScript with Node's own modules only, because it runs before anything is installed. The rest of it is loaded
 * after the check of the version, so that an old Node answers with a sentence and not with a syntax error.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';

const manifest = /** @type {{ engines: { node: string } }} */ (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
);
const needed = manifest.engines.node.replace('>=', '');
const [neededMajor = 0, neededMinor = 0] = needed.split('.').map(Number);
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
  process.stderr.write(
    `Varve needs Node ${needed} or newer; this is Node ${process.versions.node} (${process.execPath}).\n` +
      'Install a current Node, for example from https://nodejs.org, and start again.\n',
  );
  process.exit(1);
}

const { runTask } = await import('./setup/tasks.mjs');
process.exitCode = await runTask(process.argv.slice(2));
