/**
 * The data folder of the demo: configuration files, lake, state and logs. A note in it says that it is the demo's, and
 * without that note nothing in it is touched.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure, messageOf } from '@varve/common/errors.js';
import { isAnswered } from './ports.js';

const noteName = 'VARVE-DEMO.txt';
const note =
  'This folder belongs to the demo of Varve (npm start). It may be deleted when the demo does not run;\n' +
  'npm start -- --fresh does so.\n';

export interface DemoFolder {
  readonly path: string;
  readonly edgeConfig: string;
  readonly tsdbConfig: string;
  logPath(name: string): string;
  /** Lets other demos have it. Happens by itself when the process ends, but for a file that remains. */
  release(): Promise<void>;
}

/**
 * The folder, created if absent, kept from other demos until this process ends.
 *
 * @param isFresh what an earlier demo left in it is deleted
 * @throws Failure `data_dir_mismatch` where it is somebody else's, `data_dir_in_use` where a demo runs on it
 */
export async function openDemoFolder(path: string, isFresh: boolean): Promise<DemoFolder> {
  const realPath = makeFolder(path);
  if (readdirSync(realPath).length > 0 && !existsSync(join(realPath, noteName)))
    throw new Failure('data_dir_mismatch', `${realPath} is not empty, and not from an earlier demo`, {
      hint: 'choose another folder with --data',
    });
  const claimed = await claim(realPath);
  if (isFresh) for (const name of readdirSync(realPath)) rmSync(join(realPath, name), { recursive: true });
  mkdirSync(join(realPath, 'logs'), { recursive: true });
  writeFileSync(join(realPath, noteName), note);
  return {
    path: realPath,
    edgeConfig: join(realPath, 'edge.yaml'),
    tsdbConfig: join(realPath, 'tsdb.yaml'),
    logPath: (name) => join(realPath, 'logs', `${name}.log`),
    release: async () => {
      claimed.close();
      await once(claimed, 'close');
    },
  };
}

function makeFolder(path: string): string {
  try {
    mkdirSync(path, { recursive: true });
    return realpathSync(path);
  } catch (cause) {
    throw new Failure('config_invalid', `cannot keep data in ${path}: ${messageOf(cause)}`, {
      cause,
      hint: 'choose another folder with --data',
    });
  }
}

/** Writes the two configuration files from those beside this source; `${NAME:-default}` becomes the value. */
export function writeConfigs(folder: DemoFolder, values: Readonly<Record<string, number>>): void {
  for (const path of [folder.edgeConfig, folder.tsdbConfig]) {
    const template = new URL(
      `../../demo/${path === folder.edgeConfig ? 'edge' : 'tsdb'}.yaml`,
      import.meta.url,
    );
    writeFileSync(path, fillTemplate(readFileSync(fileURLToPath(template), 'utf8'), values));
  }
}

export function fillTemplate(template: string, values: Readonly<Record<string, number>>): string {
  return template.replace(/\$\{(\w+):-([^}]*)\}/g, (_, name: string, fallback: string) =>
    String(values[name] ?? fallback),
  );
}

/**
 * A socket that this process listens on while it lives. A file with a process id would outlive a crash and might name a
 * stranger after a restart of the machine. Its name is a digest, for such paths may not exceed some hundred characters.
 */
async function claim(realPath: string): Promise<Server> {
  const digest = createHash('sha256').update(realPath).digest('hex').slice(0, 16);
  const socketPath = join(process.platform === 'win32' ? '\\\\.\\pipe' : tmpdir(), `varve-demo-${digest}`);
  if (await isAnswered(connect(socketPath)))
    throw new Failure('data_dir_in_use', `a demo runs on ${realPath} already`, {
      hint: 'use that one, stop it with Ctrl-C, or start another with --data and ports of its own (--help)',
    });
  rmSync(socketPath, { force: true });
  const server = createServer((socket) => socket.destroy());
  server.listen(socketPath).unref();
  await once(server, 'listening');
  return server;
}
