/**
 * `npm start` as a person meets it: the compiled demo as a real process, its printed command in a real shell.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './installation.js';
import {
  freePort,
  isListening,
  startNode,
  startProcess,
  waitFor,
  type Owner,
  type TestProcess,
} from './processes.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const demoProgram = fileURLToPath(new URL('../../deploy/dist/demo/demo.js', import.meta.url));
const firstAnswerLimitMs = 60_000;
const rowAgeMaxMs = 15_000;

interface Ports {
  readonly http: number;
  readonly mqtt: number;
  readonly edge: number;
}

async function freePorts(): Promise<Ports> {
  return { http: await freePort(), mqtt: await freePort(), edge: await freePort() };
}

function startDemo(owner: Owner, dataDir: string, ports: Ports): TestProcess {
  return startNode(owner, demoProgram, demoArgs(dataDir, ports));
}

function demoArgs(dataDir: string, { http, mqtt, edge }: Ports): string[] {
  const ports = ['--http-port', String(http), '--mqtt-port', String(mqtt), '--edge-port', String(edge)];
  return ['--data', dataDir, ...ports];
}

interface Answer {
  readonly rows: readonly (readonly unknown[])[];
}

async function printedCommand(demo: TestProcess): Promise<string> {
  const [line] = await demo.waitForOutput(/^curl .+$/m, firstAnswerLimitMs);
  return line;
}

async function runCommand(owner: Owner, command: string): Promise<Answer | undefined> {
  const shell = startProcess(owner, 'sh', ['-c', command]);
  await shell.exited;
  try {
    return JSON.parse(shell.stdout) as Answer;
  } catch {
    return undefined;
  }
}

async function countRows({ http }: Ports): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${http}/api/v1/query`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sql: 'select count(*) from environment' }),
  });
  const { rows } = (await response.json()) as Answer;
  return Number(rows[0]?.[0]);
}

/** Command lines by process id, of those that the demo started on this folder or for this broker. */
function demoChildren(dataDir: string, { mqtt }: Ports): { pid: number; command: string }[] {
  return execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => /demo\/(broker|simulator)\.js|bin\/varve-(tsdb|edge)/.test(line))
    .filter((line) => line.includes(dataDir) || line.includes(`--port ${mqtt}`) || line.includes(`:${mqtt}`))
    .map((line) => ({ pid: Number.parseInt(line), command: line }));
}

async function untilChildrenAreGone(dataDir: string, ports: Ports): Promise<void> {
  await waitFor('the processes of the demo to end', () => demoChildren(dataDir, ports).length === 0, 15_000);
  for (const port of Object.values(ports) as number[]) assert.ok(!(await isListening(port)));
}

test('the demo answers its printed command with new rows, stops in order, and goes on where it was', async (t) => {
  const dataDir = temporaryFolder(t);
  const ports = await freePorts();

  const first = startDemo(t, dataDir, ports);
  const command = await printedCommand(first);
  const answer = await waitFor(
    'rows',
    () => runCommand(t, command),
    firstAnswerLimitMs,
    () => first.output,
  );
  assert.equal(answer.rows.length, 3);
  const ageMs = Date.now() - Date.parse(String(answer.rows[0]?.[0]));
  assert.ok(ageMs < rowAgeMaxMs, `the newest row is ${ageMs} ms old`);
  const children = demoChildren(dataDir, ports);
  assert.equal(children.length, 4);
  // What their commands set, and a person who starts them has: `tsdb/bin/varve-tsdb`, `edge-agent/bin/varve-edge`.
  for (const [program, setting] of Object.entries({
    tsdb: 'UV_THREADPOOL_SIZE=16',
    edge: 'MALLOC_ARENA_MAX=1',
  })) {
    const child = children.find(({ command: line }) => line.includes(`varve-${program}.js`));
    assert.match(readFileSync(`/proc/${child?.pid}/environ`, 'latin1'), new RegExp(`\0${setting}\0`));
  }
  const countBefore = await countRows(ports);

  const { code } = await first.stop('SIGINT', 45_000);
  assert.equal(code, 0, first.output);
  assert.ok(first.output.includes(dataDir), 'says where the data lies');
  await untilChildrenAreGone(dataDir, ports);

  const second = startDemo(t, dataDir, ports);
  await printedCommand(second);
  assert.ok((await countRows(ports)) >= countBefore, 'the rows of the first start are there');
  await second.kill();
  await untilChildrenAreGone(dataDir, ports);
});

test('a second demo on the same folder is told so; one on a taken port is told which option to use', async (t) => {
  const dataDir = temporaryFolder(t);
  const ports = await freePorts();
  const first = startDemo(t, dataDir, ports);
  await first.waitForOutput(/starting varve-tsdb/, firstAnswerLimitMs);

  const sameFolder = startDemo(t, dataDir, await freePorts());
  assert.equal((await sameFolder.exited).code, 78);
  assert.match(sameFolder.output, /already/);

  const samePort = startDemo(t, temporaryFolder(t), { ...(await freePorts()), mqtt: ports.mqtt });
  assert.equal((await samePort.exited).code, 78);
  assert.match(samePort.output, new RegExp(`${ports.mqtt}.*taken`));
  assert.match(samePort.output, /--mqtt-port/);

  await first.stop('SIGINT', 45_000);
  await untilChildrenAreGone(dataDir, ports);
});

test('a process of the demo that dies is named, and ends the demo', async (t) => {
  const dataDir = temporaryFolder(t);
  const ports = await freePorts();
  const demo = startDemo(t, dataDir, ports);
  await printedCommand(demo);
  const agent = demoChildren(dataDir, ports).find(({ command }) => command.includes('varve-edge.js'));
  assert.ok(agent !== undefined);
  process.kill(agent.pid, 'SIGKILL');
  assert.equal((await demo.exited).code, 1);
  assert.match(demo.output, /varve-edge ended unexpectedly \(SIGKILL\)/);
  await untilChildrenAreGone(dataDir, ports);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  test(`${signal} to npm alone stops the demo`, async (t) => {
    const dataDir = temporaryFolder(t);
    const ports = await freePorts();
    const npm = startProcess(t, 'npm', ['start', '--', ...demoArgs(dataDir, ports)], { cwd: root });
    await npm.waitForOutput(/starting varve-edge/, firstAnswerLimitMs);
    await npm.stop(signal);
    await untilChildrenAreGone(dataDir, ports);
  });
