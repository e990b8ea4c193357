/**
 * PostgreSQL with `walk` (primary key device, time) and `devices`, asked by psql, which prepares each question once and says
 * how long an answer took until it had it. Never run as root, which PostgreSQL refuses: as `postgres`, or else `nobody`.
 */
import { execFile, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, startProcess, waitFor, type Owner } from '../../processes.js';
import { checkOf, type Asked, type Contestant } from './contestant.js';
import { postgreSql } from './dialects.js';
import { walkFields } from './questions.js';

const run = promisify(execFile);

/** @param programs the folder with initdb and postgres */
export async function openPostgreSql(owner: Owner, programs: string, csv: string): Promise<Contestant> {
  const folder = mkdtempSync(join(tmpdir(), 'varve-pg-'));
  owner.after(() => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    return Promise.resolve();
  });
  const asUser = await userPrefix(folder);
  const [port, data] = [await freePort(), join(folder, 'data')];
  const [command = 'env', ...before] = asUser;
  await run(
    command,
    [...before, join(programs, 'initdb'), '-D', data, '-A', 'trust', '-U', 'postgres', '-N'],
    { cwd: folder },
  );
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    shared_buffers: '1GB',
    work_mem: '128MB',
    max_wal_size: '4GB',
    synchronous_commit: 'off',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = startProcess(
    owner,
    command,
    [...before, join(programs, 'postgres'), '-D', data, '-p', String(port), ...options],
    { cwd: folder },
  );
  owner.after(async () => {
    await server.stop('SIGINT', 60_000);
  });
  await server.waitForOutput(/ready to accept connections/, 60_000);
  const address = ['-X', '-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-d', 'postgres'];
  const columns = walkFields.map((field) => `${field} float8`).join(', ');
  const load = [
    `CREATE TABLE walk (time timestamptz, device text, site text, ${columns}, PRIMARY KEY (device, time))`,
    `\\copy walk FROM '${csv}' WITH (FORMAT csv)`,
    'CREATE TABLE devices AS SELECT DISTINCT device FROM walk',
    'VACUUM ANALYZE',
  ];
  await run('psql', [...address, '-v', 'ON_ERROR_STOP=1', ...load.flatMap((text) => ['-c', text])]);
  return { name: 'PostgreSQL', ask: askByPsql(owner, address) };
}

async function userPrefix(folder: string): Promise<string[]> {
  if (process.getuid?.() !== 0) return ['env'];
  const idOf = async (name: string) => Number((await run('id', ['-u', name])).stdout);
  const id = await idOf('postgres').catch(() => idOf('nobody'));
  chownSync(folder, id, id);
  return ['setpriv', `--reuid=${id}`, `--regid=${id}`, '--clear-groups'];
}

function askByPsql(owner: Owner, address: readonly string[]): Contestant['ask'] {
  const client = spawn('psql', [...address, '-A', '-t', '-F', '\t', '-q'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, PGTZ: 'UTC' },
  });
  owner.after(() => {
    client.kill();
    return Promise.resolve();
  });
  let [output, errors, prepared] = ['', '', ''];
  client.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  client.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const send = async (text: string): Promise<string> => {
    [output, errors] = ['', ''];
    client.stdin.write(`${text}\n\\echo done\n`);
    await waitFor('psql to answer', () => output.endsWith('done\n') || errors !== '', 120_000);
    if (errors !== '') throw new Error(errors);
    return output;
  };
  return async ({ tables, sql, postgreSql: own }): Promise<Asked | undefined> => {
    if (own === null || tables[0] !== 'walk') return undefined;
    const text = own ?? sql(postgreSql);
    if (prepared !== text)
      await send(`\\timing off\nDEALLOCATE ALL; PREPARE question AS ${text};\n\\timing on`);
    prepared = text;
    const answer = await send('EXECUTE question;');
    const ms = Number(/^Time: ([\d.]+) ms/m.exec(answer)?.[1]);
    const cells = answer.replace(/^Time:[^]*$/m, '').split(/[\n\t]/);
    return {
      ms,
      check: checkOf(
        cells
          .filter((cell) => cell !== '')
          .map(Number)
          .filter(Number.isFinite),
      ),
    };
  };
}
