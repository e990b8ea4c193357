/**
 * One table on its way through life, each state kept as a copy of its store for the readers to look at.
 *
 * The store is a folder; what writes is what runs in `varve-tsdb`: ingester, checkpoints, clean-up, compactor.
 */
import { cp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { formatInboxKey, tableRoot } from '@varve/common/contract/object-keys.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { FolderStore } from '@varve/common/store/folder-store.js';
import { DeltaCatalog } from '@varve/tsdb/delta/catalog.js';
import { cleanUpLog, LogKeeper } from '@varve/tsdb/delta/log-keeper.js';
import { DownloadedFiles, TestLake, type TestShipment } from '@varve/tsdb/ingest/lake.test.fixture.js';
import { openIngester, type Ingester } from '@varve/tsdb/ingest/ingester.js';
import { openSeriesRegister } from '@varve/tsdb/latest/open-series-register.js';
import type { SeriesRegister } from '@varve/tsdb/latest/series-register.js';
import { JobBook } from '@varve/tsdb/jobs.js';
import { defaultCompactionPolicy } from '@varve/tsdb/upkeep/plan-compaction.js';
import { Upkeep } from '@varve/tsdb/upkeep/upkeep.js';
import type { ReadJob } from './engines.js';
import { correctionOf, ModelTable, shipmentOf, table, type ReadRow } from './rows.js';

export interface LakeState extends ReadJob {
  readonly name: string;
  readonly expected: readonly ReadRow[];
}

const name = { database: 'main', table };
const monthMs = 30 * 86_400_000;
const compactionPolicy = { ...defaultCompactionPolicy, filesMin: 2, settleMs: 0 };
/** More than the commits between two checkpoints. */
const manyCommits = 24;
const deletedFromUs = Date.parse('2026-03-02T10:00:00Z') * 1_000;
const deletedToUs = Date.parse('2026-03-03T07:00:00Z') * 1_000;

/** Writes rows into the table's folder as another writer of Delta tables does. */
export type ForeignAppend = (path: string, rows: readonly object[]) => Promise<void>;

export async function makeStates(folder: string, append: ForeignAppend | undefined): Promise<LakeState[]> {
  const life = await TableLife.open(folder);
  try {
    await life.ingest(shipmentOf(1));
    await life.keep('fresh');
    for (let seq = 2; seq <= manyCommits; seq++)
      await life.ingest(seq % 6 === 0 ? correctionOf(seq, seq - 3) : shipmentOf(seq));
    await life.keep('many commits');
    const before = await life.now();
    await life.checkpoint();
    await life.keep('checkpoint only', dropCommits);
    await life.ingest(shipmentOf(manyCommits + 1, true));
    await life.keep('evolved schema');
    await life.keep('time travel', undefined, before);
    await life.compact();
    await life.keep('compacted');
    await life.cleanUp();
    await life.keep('after clean-up');
    await life.deleteRows();
    await life.keep('after delete');
    if (append) {
      await life.appendForeign(append);
      await life.keep('foreign append');
    }
    await life.ingest(correctionOf(manyCommits + 2, manyCommits + 1));
    await life.keep('our next commit');
    return life.states;
  } finally {
    await life.close();
  }
}

interface Moment {
  readonly version: number;
  readonly files: readonly string[];
  readonly model: ModelTable;
}

class TableLife {
  readonly states: LakeState[] = [];
  readonly #folder: string;
  readonly #lake: TestLake;
  readonly #store: FolderStore;
  readonly #catalog: DeltaCatalog;
  readonly #ingester: Ingester;
  readonly #register: SeriesRegister;
  #model = new ModelTable();

  private constructor(
    folder: string,
    parts: {
      lake: TestLake;
      store: FolderStore;
      catalog: DeltaCatalog;
      ingester: Ingester;
      register: SeriesRegister;
    },
  ) {
    this.#folder = folder;
    this.#lake = parts.lake;
    this.#store = parts.store;
    this.#catalog = parts.catalog;
    this.#ingester = parts.ingester;
    this.#register = parts.register;
  }

  static async open(folder: string): Promise<TableLife> {
    const lake = await TestLake.open();
    const store = await FolderStore.open(join(folder, 'lake'));
    const catalog = new DeltaCatalog(store, systemClock, silentLogger());
    const dataFiles = new DownloadedFiles(store, lake.dir);
    const common = { store, catalog, dataFiles, clock: systemClock, log: silentLogger() };
    const dataDir = join(lake.dir, 'ingester');
    const registry = new Registry();
    const register = openSeriesRegister({ ...common, dataDir });
    const ingester = await openIngester({ ...common, register, dataDir, everyMs: 1, registry, threads: 1 });
    return new TableLife(folder, { lake, store, catalog, ingester, register });
  }

  async close(): Promise<void> {
    await this.#ingester.close();
    await this.#register.close();
    await this.#catalog.close();
    this.#store.close();
    await this.#lake.close();
  }

  async ingest(shipment: TestShipment): Promise<void> {
    const key = {
      agent: 'press-hall-3',
      epoch: 'e1',
      lane: 'data',
      database: 'main',
      table,
      seq: 1,
      ...shipment,
    };
    await this.#store.putIfAbsent(formatInboxKey(key), await this.#lake.parquet(shipment));
    await this.#lake.runClean(this.#ingester);
    this.#model = this.#model.with(shipment);
  }

  async checkpoint(): Promise<void> {
    await this.#catalog.refresh();
    const keeper = { store: this.#store, catalog: this.#catalog, clock: systemClock, log: silentLogger() };
    await new LogKeeper(keeper).runOnce();
  }

  async compact(): Promise<void> {
    await this.#withUpkeep(async ({ compactor }) => await compactor.runOnce());
  }

  /** Rows of two halls in some hours of two days: files are rewritten, some go as a whole. */
  async deleteRows(): Promise<void> {
    const range = { startUs: deletedFromUs, endUs: deletedToUs };
    await this.#withUpkeep(async ({ deleter }, jobs) => {
      const stop = new AbortController();
      const running = deleter.run(stop.signal);
      const { id } = await deleter.submit({ name, where: "site <> 'hall-0'", range, isDryRun: false });
      while (jobs.get(id)?.endedMs === undefined) await systemClock.sleep(5);
      stop.abort();
      await running;
      const job = jobs.get(id);
      if (job?.error !== undefined) throw new Error(`rows could not be deleted: ${job.error}`);
    });
    this.#model = this.#model.without(
      ({ time, site }) =>
        time >= deletedFromUs && time < deletedToUs && typeof site === 'string' && site !== 'hall-0',
    );
  }

  async #withUpkeep(work: (upkeep: Upkeep, jobs: JobBook) => Promise<void>): Promise<void> {
    const jobs = new JobBook(systemClock);
    const upkeep = await Upkeep.open({
      ...{ store: this.#store, catalog: this.#catalog, policy: compactionPolicy, clock: systemClock, jobs },
      dataFiles: new DownloadedFiles(this.#store, this.#lake.dir),
      dataDir: join(this.#lake.dir, 'upkeep'),
      retainMsOf: () => undefined,
      log: silentLogger(),
      registry: new Registry(),
    });
    await work(upkeep, jobs);
    await upkeep.close();
  }

  /** As a month later: everything but the newest commit is old. */
  async cleanUp(): Promise<void> {
    const logFolder = join(this.#root('lake'), '_delta_log');
    const { version } = await this.now();
    const newest = `${String(version).padStart(20, '0')}.json`;
    for (const file of await readdir(logFolder)) {
      if (file === newest) continue;
      const path = join(logFolder, file);
      const old = new Date((await stat(path)).mtimeMs - monthMs);
      await utimes(path, old, old);
    }
    const state = this.#catalog.get(name);
    if (!state) throw new Error('there is no table');
    const deleted = await cleanUpLog(this.#store, state, systemClock.nowMs());
    if (deleted === 0) throw new Error('clean-up found nothing to delete');
  }

  async appendForeign(append: ForeignAppend): Promise<void> {
    const { rows } = shipmentOf(manyCommits + 40);
    const foreign = rows.map((row) => ({ ...row, temperature: null, parts: null }));
    await append(this.#root('lake'), foreign);
    await this.#catalog.refresh();
    this.#model = this.#model.with({ rows: foreign });
  }

  async now(): Promise<Moment> {
    const state = await this.#catalog.refreshTable(name);
    if (!state) throw new Error('there is no table');
    return { version: state.version, files: [...state.files.keys()], model: this.#model };
  }

  /** Copies the store; `change` is done to the copy. With `moment`, readers are to look at that version. */
  async keep(state: string, change?: (root: string) => Promise<void>, moment?: Moment): Promise<void> {
    const copy = state.replaceAll(' ', '-');
    await cp(join(this.#folder, 'lake'), join(this.#folder, copy), {
      recursive: true,
      preserveTimestamps: true,
    });
    const path = this.#root(copy);
    await change?.(path);
    const { files, model } = moment ?? (await this.now());
    const version = moment?.version ?? null;
    this.states.push({ name: state, path, version, files, expected: model.rows() });
  }

  #root(copy: string): string {
    return join(this.#folder, copy, tableRoot(name));
  }
}

/** Leaves a table that can be read from its checkpoint alone. */
async function dropCommits(root: string): Promise<void> {
  const logFolder = join(root, '_delta_log');
  const files = await readdir(logFolder);
  const checkpoint = files
    .filter((file) => file.endsWith('.checkpoint.parquet'))
    .sort()
    .at(-1);
  if (checkpoint === undefined) throw new Error('there is no checkpoint');
  for (const file of files)
    if (file.endsWith('.json') && file.slice(0, 20) < checkpoint.slice(0, 20))
      await rm(join(logFolder, file));
}
