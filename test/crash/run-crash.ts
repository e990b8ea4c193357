/**
 * Kills a real tsdb with SIGKILL, again and again, while it takes shipments in, compacts, deletes rows and vacuums; then lets it
 * finish, and holds its answer against a model and its files against its log.
 *
 * 1. A seed decides what is shipped, which work is struck and how long after it began.
 * 2. A delete counts as asked for when the server has accepted it; until then it is asked again after the next start.
 * 3. At the end: every row as the model has it, and after a vacuum no data file that the newest version does not have.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { probeKey, tableRoot } from '@varve/common/contract/object-keys.js';
import { silentLogger } from '@varve/common/log.js';
import { openStore } from '@varve/common/store/open-store.js';
import type { Store } from '@varve/common/store/store.js';
import { DeltaCatalog } from '@varve/tsdb/delta/catalog.js';
import { DuckDb } from '@varve/tsdb/delta/duckdb.js';
import { stringify } from 'yaml';
import { temporaryFolder, startTsdb } from '../installation.js';
import { freePort, waitFor, type Owner, type TestProcess } from '../processes.js';
import { seededRandom, wholeBetween, type Random } from '../torture/seeded-random.js';
import { CrashModel, table, type Deletion } from './crash-model.js';

export interface CrashOptions {
  readonly kills: number;
  readonly seed: number;
  readonly note: (line: string) => void;
}

export interface CrashResult {
  /** By the work that was struck. */
  readonly kills: ReadonlyMap<string, number>;
  readonly rows: number;
  /** Empty when all is well. */
  readonly complaints: readonly string[];
}

const works = ['ingest', 'compaction', 'delete', 'vacuum'] as const;
const startLimitMs = 60_000;
const finishLimitMs = 120_000;
const afterStartMsMax = 1_200;

class CrashRun {
  readonly kills = new Map<string, number>();
  readonly #owner: Owner;
  readonly #folder: string;
  readonly #store: Store;
  readonly #duckDb: DuckDb;
  readonly #random: Random;
  readonly #model: CrashModel;
  readonly #configPath: string;
  readonly #port: number;
  /** Asked for, and not known to be accepted. */
  #deletion: Deletion | undefined;

  constructor(owner: Owner, folder: string, store: Store, port: number, seed: number) {
    [this.#owner, this.#folder, this.#store, this.#port] = [owner, folder, store, port];
    this.#random = seededRandom(seed);
    this.#model = new CrashModel(this.#random);
    const limits = { memoryBytesMax: 2 ** 28, tempBytesMax: 2 ** 30, threads: 1 };
    this.#duckDb = new DuckDb({ tempDir: folder, ...limits });
    owner.after(() => this.#duckDb.close());
    this.#configPath = join(folder, 'tsdb.yaml');
    const config = {
      ...{ store: './lake', data_dir: './tsdb-data', listen: `127.0.0.1:${port}` },
      ...{ ingest: { every: '100ms' }, compact: { every: '100ms' } },
    };
    writeFileSync(this.#configPath, stringify(config));
  }

  get rowCount(): number {
    return this.#model.rows.size;
  }

  /** One kill. */
  async strike(index: number): Promise<void> {
    const work = works[index % works.length] ?? 'ingest';
    if (work === 'ingest' || work === 'compaction') await this.#ship(work === 'ingest' ? 6 : 2);
    if (work === 'vacuum') await this.#strikeVacuum();
    else await this.#strikeServer(work);
    this.kills.set(work, (this.kills.get(work) ?? 0) + 1);
  }

  async #ship(count: number): Promise<void> {
    await this.#duckDb.withSession(async (session) => {
      for (let done = 0; done < count; done += 1)
        await this.#model.ship(this.#store, session, join(this.#folder, 'shipments'));
    });
  }

  async #strikeServer(work: string): Promise<void> {
    const server = await this.#start();
    if (work === 'compaction' || work === 'delete') await this.#whenIdle(server, 'inbox/');
    if (work === 'delete' || this.#deletion) await this.#askDelete(server);
    await systemClock.sleep(wholeBetween(this.#random, 0, afterStartMsMax));
    await server.kill();
  }

  async #strikeVacuum(): Promise<void> {
    const vacuum = this.#vacuum();
    await systemClock.sleep(wholeBetween(this.#random, 200, 2_000));
    await vacuum.kill();
  }

  #vacuum(): TestProcess {
    const args = ['vacuum', table, '--older-than', '0s', '--force', '--config', this.#configPath];
    return startTsdb(this.#owner, args);
  }

  async #start(): Promise<TestProcess> {
    const server = startTsdb(this.#owner, ['serve', '--config', this.#configPath]);
    await server.waitForOutput(/answering/, startLimitMs);
    return server;
  }

  async #whenIdle(server: TestProcess, prefix: string): Promise<void> {
    await waitFor(
      `nothing below ${prefix}`,
      async () => (await this.#keys(prefix)).length === 0,
      finishLimitMs,
      () => server.output,
    );
  }

  /** The shipments before must be in: what came later would be judged, too. */
  async #askDelete(server: TestProcess): Promise<void> {
    await this.#whenIdle(server, 'inbox/');
    this.#deletion ??= this.#model.planDeletion();
    if (!this.#deletion) return;
    const { device, start, end } = this.#deletion;
    const answered = this.#post(`/api/v1/tables/${table}/delete`, {
      where: `device = '${device}'`,
      start,
      end,
    });
    // Half of the kills come before the answer.
    const wait = this.#random() < 0.5 ? systemClock.sleep(wholeBetween(this.#random, 0, 100)) : answered;
    await wait;
    if (wait !== answered) {
      await server.kill();
    }
    const status = await answered;
    if (status === 202) this.#deletion = undefined;
  }

  async #post(path: string, body: object): Promise<number> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
      });
      await response.text();
      return response.status;
    } catch {
      return 0;
    }
  }

  /** Lets everything end in peace. @returns what is wrong */
  async finish(): Promise<string[]> {
    const server = await this.#start();
    await this.#whenIdle(server, 'inbox/');
    while (this.#deletion) await this.#askDeleteInPeace();
    await this.#whenIdle(server, 'ops/jobs/');
    const complaints = this.#compare(await this.#answer());
    await server.stop();
    const { code } = await this.#vacuum().exited;
    if (code !== 0) complaints.push(`the vacuum ended with ${code}`);
    const live = await this.#liveKeys();
    const stored = (await this.#keys(tableRoot({ database: 'main', table }))).filter((key) =>
      key.includes('/day='),
    );
    for (const key of stored) if (!live.has(key)) complaints.push(`${key} is in no version`);
    for (const key of live) if (!stored.includes(key)) complaints.push(`${key} is gone`);
    return complaints;
  }

  async #askDeleteInPeace(): Promise<void> {
    if (!this.#deletion) return;
    const { device, start, end } = this.#deletion;
    const where = `device = '${device}'`;
    if ((await this.#post(`/api/v1/tables/${table}/delete`, { where, start, end })) === 202)
      this.#deletion = undefined;
    else await systemClock.sleep(100);
  }

  async #answer(): Promise<string[]> {
    const sql = `select device || ' ' || epoch_us(time) || ' ' || v::bigint as line from ${table}`;
    const response = await fetch(`http://127.0.0.1:${this.#port}/api/v1/query`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ sql, max_rows: 1_000_000 }),
    });
    const { rows } = (await response.json()) as { rows: [string][] };
    return rows.map(([line]) => line).sort();
  }

  #compare(answer: readonly string[]): string[] {
    const expected = this.#model.lines();
    const [wanted, got] = [new Set(expected), new Set(answer)];
    const missing = expected.filter((line) => !got.has(line));
    const surplus = answer.filter((line) => !wanted.has(line));
    const twice = answer.length - got.size;
    return missing.length + surplus.length + twice === 0
      ? []
      : [
          `of ${expected.length} rows ${missing.length} are missing (${missing.slice(0, 3).join('; ')}), ` +
            `${surplus.length} should not be there (${surplus.slice(0, 3).join('; ')}), ${twice} are there twice`,
        ];
  }

  async #liveKeys(): Promise<Set<string>> {
    const catalog = new DeltaCatalog(this.#store, systemClock, silentLogger());
    const state = await catalog.refreshTable({ database: 'main', table });
    await catalog.close();
    return new Set([...(state?.files.values() ?? [])].map(({ key }) => key));
  }

  async #keys(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.#store.list(prefix)) keys.push(key);
    return keys;
  }
}

export async function runCrash(owner: Owner, { kills, seed, note }: CrashOptions): Promise<CrashResult> {
  const folder = temporaryFolder(owner);
  mkdirSync(join(folder, 'shipments'));
  const store = await openStore(
    { url: join(folder, 'lake'), pathStyle: false },
    { access: 'full', probeKey, clock: systemClock },
  );
  const run = new CrashRun(owner, folder, store, await freePort(), seed);
  for (let index = 0; index < kills; index += 1) {
    await run.strike(index);
    if ((index + 1) % 20 === 0) note(`${index + 1} of ${kills} kills, ${run.rowCount} rows`);
  }
  const complaints = await run.finish();
  store.close();
  return { kills: run.kills, rows: run.rowCount, complaints };
}
