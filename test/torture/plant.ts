/**
 * What is tortured: Mosquitto, agents behind a network each, and tsdbs, on one store; every one a real process that is
 * started again when it ends.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { mosquittoConfig } from '../brokers.js';
import { edgeProgram, fetchJson, startTsdb, type QueryAnswer } from '../installation.js';
import { freePort, isListening, startNode, startProcess, waitFor, type Owner } from '../processes.js';
import { mosquitto } from '../requirements.js';
import { startTcpProxy, type TcpProxy } from '../tcp-proxy.js';
import { FalseClock } from './false-clock.js';
import { SmallDisk } from './small-disk.js';
import { Supervised } from './supervised.js';
import type { TortureStore } from './torture-store.js';

export interface PlantOptions {
  readonly dir: string;
  readonly store: TortureStore;
  readonly agentCount: number;
  readonly tsdbCount: number;
  readonly canMount: boolean;
  readonly hasFalseClocks: boolean;
}

export interface TortureAgent {
  /** Its name, too: so the loss ledger's tag says which messages it is about. */
  readonly site: string;
  /** Its buffer is as small as may be, and drops when it is full. */
  readonly isTight: boolean;
  readonly program: Supervised;
  readonly network: TcpProxy;
  readonly dataDir: string;
  /** Its data_dir lies on it. */
  readonly disk: SmallDisk | undefined;
  readonly clock: FalseClock | undefined;
  readonly statusUrl: string;
}

export interface TortureTsdb {
  readonly program: Supervised;
  readonly dataDir: string;
  readonly url: string;
}

export interface AgentState {
  readonly sources: Readonly<Record<string, { readonly connected: boolean }>>;
  readonly log: { readonly waiting_messages: number };
  readonly outbox: { readonly shipments: number };
  readonly losses: { readonly waiting_rows: number };
}

const diskMegabytes = 64;
const startLimitMs = 60_000;

export class Plant {
  readonly broker: Supervised;
  readonly brokerUrl: string;
  readonly agents: readonly TortureAgent[];
  readonly tsdbs: readonly TortureTsdb[];
  readonly store: TortureStore;

  private constructor(parts: Pick<Plant, 'broker' | 'brokerUrl' | 'agents' | 'tsdbs' | 'store'>) {
    this.broker = parts.broker;
    this.brokerUrl = parts.brokerUrl;
    this.agents = parts.agents;
    this.tsdbs = parts.tsdbs;
    this.store = parts.store;
  }

  /** Everything runs, and every agent has its session with the broker. */
  static async start(owner: Owner, options: PlantOptions): Promise<Plant> {
    const brokerPort = await freePort();
    const broker = prepareBroker(owner, options.dir, brokerPort);
    broker.start();
    await waitFor('Mosquitto', () => isListening(brokerPort), startLimitMs);
    const agents: TortureAgent[] = [];
    for (let number = 1; number <= options.agentCount; number++)
      agents.push(await prepareAgent(owner, options, number, brokerPort));
    const tsdbs: TortureTsdb[] = [];
    for (let number = 1; number <= options.tsdbCount; number++)
      tsdbs.push(await prepareTsdb(owner, options, number));
    const brokerUrl = `mqtt://127.0.0.1:${brokerPort}`;
    const plant = new Plant({ broker, brokerUrl, agents, tsdbs, store: options.store });
    for (const { program } of plant.#programs()) program.start();
    await waitFor('the agents to connect', () => plant.allConnected(), startLimitMs);
    await waitFor('a tsdb to answer', () => plant.query('select 1'), startLimitMs);
    return plant;
  }

  #programs(): { readonly program: Supervised }[] {
    return [...this.agents, ...this.tsdbs];
  }

  get programs(): Supervised[] {
    return [this.broker, ...this.#programs().map(({ program }) => program)];
  }

  async allConnected(): Promise<boolean> {
    const states = await this.agentStates();
    return states.every((state) => state?.sources['plant']?.connected === true);
  }

  async agentStates(): Promise<(AgentState | undefined)[]> {
    return Promise.all(
      this.agents.map(async ({ statusUrl }) => (await fetchJson(statusUrl))?.body as AgentState | undefined),
    );
  }

  /** Shipments that wait in the inbox, as the first tsdb saw it last. */
  async inboxWaiting(): Promise<number | undefined> {
    const answer = await fetchJson(`${this.tsdbs[0]?.url ?? ''}/status`);
    return (answer?.body as { ingest?: { waiting?: number } } | undefined)?.ingest?.waiting;
  }

  /** Undefined while that tsdb does not answer. */
  async query(sql: string, tsdb = 0): Promise<QueryAnswer | undefined> {
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql, max_rows: 1_000_000 }),
    };
    return (await fetchJson(`${this.tsdbs[tsdb]?.url ?? ''}/api/v1/query`, request)) as
      QueryAnswer | undefined;
  }

  /** Ends every fault there may be: all run, nothing is full, cut or frozen, clocks are right. */
  async heal(): Promise<void> {
    await this.store.heal();
    for (const { disk, clock, network } of this.agents) {
      disk?.empty();
      clock?.set(0);
      network.setDown(false);
    }
    for (const program of this.programs) {
      program.thaw();
      program.start();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#programs().map(({ program }) => program.stop()));
    await this.broker.stop();
  }

  /** What is on mounted disks stays in the folder, and what running programs said in its files. */
  async keepContents(): Promise<void> {
    for (const program of this.programs) program.flushOutput();
    await Promise.all(this.programs.map((program) => program.kill()));
    this.store.keepContents();
    for (const { disk } of this.agents) disk?.keepContents();
  }
}

function prepareBroker(owner: Owner, dir: string, port: number): Supervised {
  const program = mosquitto();
  if (program === undefined) throw new Error('needs Mosquitto: install the package "mosquitto"');
  const brokerDir = join(dir, 'broker');
  mkdirSync(brokerDir);
  const configPath = join(brokerDir, 'mosquitto.conf');
  writeFileSync(configPath, mosquittoConfig(brokerDir, port));
  return new Supervised(owner, {
    name: 'broker',
    start: () => startProcess(owner, program, ['-c', configPath]),
    outputPath: join(dir, 'broker.out'),
  });
}

async function prepareAgent(
  owner: Owner,
  { dir, store, canMount, hasFalseClocks }: PlantOptions,
  number: number,
  brokerPort: number,
): Promise<TortureAgent> {
  const name = `agent-${number}`;
  const site = name;
  const isTight = number === 2;
  const dataDir = join(dir, `${name}-data`);
  const disk = canMount ? SmallDisk.mount(owner, dataDir, diskMegabytes) : undefined;
  const clock = hasFalseClocks ? new FalseClock(join(dir, `${name}.clock`)) : undefined;
  const network = await startTcpProxy(owner, brokerPort);
  const statusPort = await freePort();
  const configPath = join(dir, `${name}.yaml`);
  const config = {
    agent: name,
    data_dir: dataDir,
    sources: {
      plant: {
        mqtt: `mqtt://127.0.0.1:${network.port}`,
        topics: [`plant/${site}/#`],
        // A small buffer wants small blocks: a block is what came during one fsync.
        ...(isTight && { receive_maximum: 50 }),
      },
    },
    streams: {
      torture: {
        topic: 'plant/{site}/{device}/torture',
        format: 'json',
        time: { path: 'ts', unit: 'ms' },
        fields: { n: 'long' },
      },
    },
    store: store.config,
    ship: { every: '700ms' },
    ...(isTight && { buffer: { max_size: '4MB', on_full: 'drop_oldest' } }),
    status: { listen: `127.0.0.1:${statusPort}` },
  };
  writeFileSync(configPath, stringify(config));
  const program = new Supervised(owner, {
    name,
    start: () => startNode(owner, edgeProgram, ['run', '--config', configPath], { env: clock?.env ?? {} }),
    startedText: '"collecting"',
    outputPath: join(dir, `${name}.out`),
  });
  const statusUrl = `http://127.0.0.1:${statusPort}/status`;
  return { site, isTight, program, network, dataDir, disk, clock, statusUrl };
}

async function prepareTsdb(owner: Owner, { dir, store }: PlantOptions, number: number): Promise<TortureTsdb> {
  const name = `tsdb-${number}`;
  const dataDir = join(dir, `${name}-data`);
  const port = await freePort();
  const configPath = join(dir, `${name}.yaml`);
  const config = {
    store: store.config,
    data_dir: dataDir,
    listen: `127.0.0.1:${port}`,
    ingest: { every: '500ms' },
    cache: { disk: '1GB', memory: '256MB' },
  };
  writeFileSync(configPath, stringify(config));
  const program = new Supervised(owner, {
    name,
    start: () => startTsdb(owner, ['serve', '--config', configPath]),
    startedText: '"answering"',
    outputPath: join(dir, `${name}.out`),
  });
  return { program, dataDir, url: `http://127.0.0.1:${port}` };
}

/** It may be deleted at any time, this product says; while nobody runs on it. */
export function deleteDataDir({ dataDir }: TortureTsdb): void {
  rmSync(dataDir, { recursive: true, force: true });
}
