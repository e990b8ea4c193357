/**
 * A lake in a folder and a real `varve-tsdb` on it, as a process: shipments are put into its inbox, questions asked over HTTP.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { formatInboxKey, inboxPrefix } from '@varve/common/contract/object-keys.js';
import { FolderStore } from '@varve/common/store/folder-store.js';
import { TestLake, type TestShipment } from '@varve/tsdb/ingest/lake.test.fixture.js';
import { stringify } from 'yaml';
import { temporaryFolder, startTsdb } from './installation.js';
import { freePort, waitFor, type Owner, type TestProcess } from './processes.js';

const startLimitMs = 60_000;
const drainLimitMs = 120_000;

export class ServedLake {
  readonly folder: string;
  readonly url: string;
  readonly store: FolderStore;
  readonly #owner: Owner;
  readonly #maker: TestLake;
  #process: TestProcess | undefined;

  private constructor(owner: Owner, folder: string, port: number, store: FolderStore, maker: TestLake) {
    [this.#owner, this.folder, this.store, this.#maker] = [owner, folder, store, maker];
    this.url = `http://127.0.0.1:${port}`;
  }

  /** `config` goes over what is in the server's configuration otherwise. */
  static async create(owner: Owner, config: Readonly<Record<string, unknown>> = {}): Promise<ServedLake> {
    const folder = temporaryFolder(owner);
    const port = await freePort();
    const store = await FolderStore.open(join(folder, 'lake'));
    const maker = await TestLake.open();
    owner.after(async () => {
      await maker.close();
      store.close();
    });
    const basis = { store: './lake', data_dir: './tsdb-data', listen: `127.0.0.1:${port}` };
    writeFileSync(join(folder, 'tsdb.yaml'), stringify({ ...basis, ingest: { every: '100ms' }, ...config }));
    return new ServedLake(owner, folder, port, store, maker);
  }

  get process(): TestProcess {
    if (!this.#process) throw new Error('the server was not started');
    return this.#process;
  }

  async put(shipment: TestShipment): Promise<void> {
    const parts = { agent: 'hall-3', epoch: 'e1', lane: 'live', database: 'main', table: 'climate', seq: 1 };
    const key = formatInboxKey({ ...parts, ...shipment });
    await this.store.putIfAbsent(key, await this.#maker.parquet({ ...parts, ...shipment }));
  }

  /** Starts the process, and waits for nothing. */
  spawn(): TestProcess {
    const args = ['serve', '--config', 'tsdb.yaml'];
    this.#process = startTsdb(this.#owner, args, { cwd: this.folder });
    return this.#process;
  }

  async start(): Promise<void> {
    await this.spawn().waitForOutput(/answering/, startLimitMs);
  }

  /** Until everything that was put is in its table. */
  async drained(): Promise<void> {
    const isEmpty = async () => {
      for await (const _ of this.store.list(inboxPrefix)) return false;
      return true;
    };
    await waitFor('the inbox to be empty', isEmpty, drainLimitMs, () => this.process.output);
  }

  async query(sql: string, more: Readonly<Record<string, unknown>> = {}): Promise<Response> {
    return await fetch(`${this.url}/api/v1/query`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ sql, ...more }),
    });
  }

  /** @throws when it is refused */
  async rows(sql: string): Promise<unknown[][]> {
    const response = await this.query(sql);
    const body = (await response.json()) as { rows?: unknown[][]; error?: string };
    if (!body.rows) throw new Error(`${response.status}: ${body.error}`);
    return body.rows;
  }

  /** Until `work` gives an answer that is not undefined, however often it is refused. @returns it, and the milliseconds */
  static async firstAnswer<T>(
    work: () => Promise<T | undefined>,
    limitMs: number,
  ): Promise<{ answer: T; ms: number }> {
    const startedMs = systemClock.monotonicMs();
    const answer = await waitFor('an answer', () => work().catch(() => undefined), limitMs);
    return { answer, ms: systemClock.monotonicMs() - startedMs };
  }
}
