/**
 * An agent and a tsdb as a person installs them: configuration files, real processes, HTTP.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import {
  freePort,
  startNode,
  startProcess,
  waitFor,
  type Owner,
  type ProcessOptions,
  type TestProcess,
} from './processes.js';

export const edgeProgram = fileURLToPath(new URL('../../edge-agent/bin/varve-edge.js', import.meta.url));
/** As npm puts it on the path. */
export const edgeCommand = fileURLToPath(new URL('../../edge-agent/bin/varve-edge', import.meta.url));
const tsdbCommand = fileURLToPath(new URL('../../tsdb/bin/varve-tsdb', import.meta.url));

/** The store as npm puts it on the path, which gives it its threads; with source maps. */
export function startTsdb(
  owner: Owner,
  args: readonly string[],
  { cwd, env = {} }: ProcessOptions = {},
): TestProcess {
  const { NODE_OPTIONS = '' } = process.env;
  const nodeOptions = { NODE_OPTIONS: `${NODE_OPTIONS} --enable-source-maps`.trim() };
  return startProcess(owner, tsdbCommand, args, { ...(cwd && { cwd }), env: { ...nodeOptions, ...env } });
}

export interface InstallationOptions {
  readonly brokerUrl: string;
  /** Streams as in the configuration file. */
  readonly streams: Readonly<Record<string, unknown>>;
  /** As `store:` in the configuration; absent: a folder. */
  readonly store?: unknown;
  /** As `ship:` in the configuration; absent: every 300 ms. */
  readonly ship?: unknown;
  /** As `log:` in the configuration. */
  readonly log?: unknown;
  /** The agent runs as it does for a user: without source maps, which take memory. */
  readonly isBench?: boolean;
  /** Goes over the agent's configuration, option by option of the first level. */
  readonly edge?: Readonly<Record<string, unknown>>;
}

export interface QueryAnswer {
  readonly status: number;
  readonly body: {
    readonly rows?: unknown[][];
    readonly columns?: { readonly name: string; readonly type: string }[];
    readonly code?: string;
    readonly title?: string;
  };
}

/** One agent and one tsdb on one store, below a temporary folder. */
export class Installation {
  readonly dir: string;
  readonly lake: string;
  agent: TestProcess | undefined;
  tsdb: TestProcess | undefined;
  readonly #owner: Owner;
  readonly #isBench: boolean;
  readonly #edgePort: number;
  readonly #httpPort: number;

  private constructor(owner: Owner, dir: string, isBench: boolean, edgePort: number, httpPort: number) {
    this.#owner = owner;
    this.#isBench = isBench;
    this.dir = dir;
    this.lake = join(dir, 'lake');
    this.#edgePort = edgePort;
    this.#httpPort = httpPort;
  }

  static async create(owner: Owner, options: InstallationOptions): Promise<Installation> {
    const dir = temporaryFolder(owner);
    const { isBench = false } = options;
    const installation = new Installation(owner, dir, isBench, await freePort(), await freePort());
    const store = options.store ?? './lake';
    writeFileSync(join(dir, 'edge.yaml'), stringify(installation.#edgeConfig(options, store)));
    writeFileSync(join(dir, 'tsdb.yaml'), stringify(installation.#tsdbConfig(store)));
    return installation;
  }

  startAgent(env: Readonly<Record<string, string>> = {}): void {
    const args = ['run', '--config', 'edge.yaml'];
    this.agent = this.#isBench
      ? startProcess(this.#owner, edgeCommand, args, { cwd: this.dir, env })
      : startNode(this.#owner, edgeProgram, args, { cwd: this.dir, env });
  }

  startTsdb(): void {
    this.tsdb = startTsdb(this.#owner, ['serve', '--config', 'tsdb.yaml'], { cwd: this.dir });
  }

  /** Until the agent is connected to its broker. */
  async agentReady(): Promise<void> {
    await waitFor(
      'the agent to connect',
      async () => (await this.agentStatus())?.sources['plant']?.connected,
      30_000,
      () => this.agent?.output ?? '',
    );
  }

  async tsdbReady(): Promise<void> {
    const ready = async () => (await fetchJson(`http://127.0.0.1:${this.#httpPort}/healthz`))?.status === 200;
    await waitFor('tsdb to answer', ready, 30_000, () => this.tsdb?.output ?? '');
  }

  /** A counter or gauge without labels; undefined while the agent does not answer. */
  async agentMetric(name: string): Promise<number | undefined> {
    const text = await fetchText(`http://127.0.0.1:${this.#edgePort}/metrics`);
    const value = text === undefined ? undefined : new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1];
    return value === undefined ? undefined : Number(value);
  }

  /** The store can be written no more, or again; only a folder, and only while the agent runs. */
  setStoreAway(isAway: boolean): void {
    const away = `${this.lake}.away`;
    if (isAway) {
      renameSync(this.lake, away);
      writeFileSync(this.lake, 'a file where the folder was');
    } else {
      rmSync(this.lake);
      renameSync(away, this.lake);
    }
  }

  /** What `varve-edge status` prints. */
  async printedStatus(): Promise<string> {
    const asked = startNode(this.#owner, edgeProgram, ['status', '--config', 'edge.yaml'], { cwd: this.dir });
    await asked.exited;
    return asked.output;
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.#edgePort}/metrics`)).text();
  }

  /** Undefined while the agent does not answer, or with an error. */
  async agentStatus(): Promise<AgentStatus | undefined> {
    const answer = await fetchJson(`http://127.0.0.1:${this.#edgePort}/status`);
    return answer?.status === 200 ? (answer.body as AgentStatus) : undefined;
  }

  /** Newest first. */
  async deadLetters(): Promise<{ topic: string; code: string; payload: string }[]> {
    const answer = await fetchJson(`http://127.0.0.1:${this.#edgePort}/dead-letters`);
    return (answer?.body as { dead_letters: { topic: string; code: string; payload: string }[] })
      .dead_letters;
  }

  /** Undefined while tsdb does not answer. */
  async query(sql: string): Promise<QueryAnswer | undefined> {
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql }),
    };
    return (await fetchJson(`http://127.0.0.1:${this.#httpPort}/api/v1/query`, request)) as
      QueryAnswer | undefined;
  }

  async get(path: string): Promise<QueryAnswer | undefined> {
    return (await fetchJson(`http://127.0.0.1:${this.#httpPort}${path}`)) as QueryAnswer | undefined;
  }

  #edgeConfig({ brokerUrl, streams, ship, log, edge }: InstallationOptions, store: unknown): unknown {
    return {
      agent: 'press-hall-3',
      data_dir: './edge-data',
      sources: { plant: { mqtt: brokerUrl, topics: ['plant/#'] } },
      streams,
      store,
      ship: ship ?? { every: '300ms' },
      ...(log === undefined ? {} : { log }),
      status: { listen: `127.0.0.1:${this.#edgePort}` },
      ...edge,
    };
  }

  #tsdbConfig(store: unknown): unknown {
    return {
      store,
      data_dir: './tsdb-data',
      listen: `127.0.0.1:${this.#httpPort}`,
      ingest: { every: '200ms' },
    };
  }
}

interface AgentStatus {
  readonly sources: Readonly<
    Record<string, { readonly connected: boolean; readonly last_error: string | null }>
  >;
  readonly buffer: { readonly state: string; readonly bytes: number; readonly reason: string | null };
  readonly losses: {
    readonly total: Readonly<Record<string, { readonly messages: number }>>;
    readonly waiting_rows: number;
  };
  readonly clock: { readonly state: string; readonly waiting_messages: number; readonly steps: number };
  readonly log: { readonly waiting_messages: number };
  readonly outbox: { readonly shipments: number };
}

export function temporaryFolder(owner: Owner): string {
  const dir = mkdtempSync(join(tmpdir(), 'varve-'));
  mkdirSync(dir, { recursive: true });
  owner.after(() => {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    return Promise.resolve();
  });
  return dir;
}

async function fetchText(url: string): Promise<string | undefined> {
  try {
    return await (await fetch(url, { signal: AbortSignal.timeout(10_000) })).text();
  } catch {
    return undefined;
  }
}

/** Undefined where nobody answers: the process may have been killed. */
export async function fetchJson(
  url: string,
  request: RequestInit = {},
): Promise<{ status: number; body: unknown } | undefined> {
  try {
    const response = await fetch(url, { ...request, signal: AbortSignal.timeout(10_000) });
    return { status: response.status, body: await response.json() };
  } catch {
    return undefined;
  }
}
