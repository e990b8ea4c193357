/**
 * I7 over a table's whole life: any writes, compactions, deletes and checkpoints, in any order, some side by side. At the end
 * every version is read again, and is what a plain in-memory model was then.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { silentLogger } from '@varve/common/log.js';
import fc from 'fast-check';
import { DeltaCatalog } from '../delta/catalog.js';
import { writeCheckpoint } from '../delta/checkpoint-writer.js';
import type { Ingester } from '../ingest/ingester.js';
import { noonUs, TestLake, type Value } from '../ingest/lake.test.fixture.js';
import {
  modelTexts,
  names,
  rowText,
  shipment,
  toTestShipment,
  write,
  type GeneratedShipment,
  type Model,
} from '../ingest/model-table.test.fixture.js';
import { defaultCompactionPolicy } from './plan-compaction.js';
import { openTestUpkeep, type TestUpkeep } from './upkeep.test.fixture.js';

const name = { database: 'main', table: 'climate' };

/** Everything is compacted as soon as it can be, and sorted when there is a row of a later day. */
const eager = {
  ...defaultCompactionPolicy,
  ...{ filesMin: 2, settleMs: 0, closedAfterMs: 0, lateShareMin: 0, lateMsMax: 0 },
};

/** As SQL, and as the same in the model; null, as in SQL, deletes nothing. */
interface Condition {
  readonly where: string | undefined;
  readonly holds: (fields: Readonly<Record<string, Value>>, key: readonly string[]) => boolean;
}

const conditions: readonly Condition[] = [
  { where: undefined, holds: () => true },
  { where: "device = 'x'", holds: (_, [, device]) => device === 'x' },
  { where: 'site IS NULL', holds: (_, [, , site]) => site === 'null' },
  { where: 'v > 1', holds: ({ v }) => Number(v ?? 0) > 1 },
  { where: 'd < 30', holds: ({ d }) => d !== null && Number(d) < 30 },
  { where: 'n = 2', holds: ({ n }) => n === 2 },
  { where: 's IS NULL OR l = 1', holds: ({ s, l }) => s === null || l === 1n },
];

type Step =
  | { readonly kind: 'ship'; readonly shipment: GeneratedShipment; readonly isBesideCompaction: boolean }
  | { readonly kind: 'compact' }
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'delete'; readonly condition: Condition; readonly from: number; readonly to: number };

// Microseconds after noon: all, nothing, and ends that lie between the rows of `shipment`.
const instants = fc.constantFrom(-Infinity, 1, 500, 45_000_000_000, Infinity);
const ship = fc.record({ kind: fc.constant('ship' as const), shipment, isBesideCompaction: fc.boolean() });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: ship },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      condition: fc.constantFrom(...conditions),
      from: instants,
      to: instants,
    }),
  },
);

/** Of each condition, over values that lie in a column and in the double beside it. */
const conditionExamples = conditions.slice(1).map((condition): [Step[]] => {
  const rows = [
    { time: noonUs + 1, device: 'x', site: null, d: 0.1 + 0.2, n: 2, v: 1.5, s: null },
    { time: noonUs + 2, device: 'y', site: 'p', d: 21.37, n: 1, v: null, s: 'a' },
  ];
  const ofB = { agent: 'b', columns: names, hasDecimals: false, rows };
  return [
    [
      { kind: 'ship', shipment: ofB, isBesideCompaction: false },
      { kind: 'delete', condition, from: 1, to: Infinity },
    ],
  ];
});

test('any history of writes, compactions and deletes: every version is what the model was then', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 12 }), async (steps) => {
      const history = await History.open();
      try {
        for (const each of steps) await history.take(each);
        await history.check();
      } finally {
        await history.close();
      }
    }),
    { numRuns: 8, includeErrorInReport: true, examples: conditionExamples },
  );
});

/** What the table was before and after a step, which may have made several versions or none. */
interface Chapter {
  readonly lastVersion: number;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

class History {
  readonly #lake: TestLake;
  readonly #ingester: Ingester;
  readonly #catalog: DeltaCatalog;
  readonly #upkeep: TestUpkeep;
  readonly #stop = new AbortController();
  readonly #deleting: Promise<void>;
  readonly #model: Model = new Map();
  readonly #seqs = new Map<string, number>();
  readonly #chapters: Chapter[] = [];

  private constructor(lake: TestLake, ingester: Ingester, catalog: DeltaCatalog, upkeep: TestUpkeep) {
    this.#lake = lake;
    this.#ingester = ingester;
    this.#catalog = catalog;
    this.#upkeep = upkeep;
    this.#deleting = upkeep.upkeep.deleter.run(this.#stop.signal);
  }

  /** With a first shipment that has all columns, so that conditions can name them. */
  static async open(): Promise<History> {
    const lake = await TestLake.open();
    const catalog = new DeltaCatalog(lake.store, systemClock, silentLogger());
    const upkeep = await openTestUpkeep(lake, { catalog, policy: eager });
    const history = new History(lake, await lake.openIngester(), catalog, upkeep);
    const first = { agent: 'a', columns: names, hasDecimals: true };
    const rows = [{ time: noonUs, device: 'x', site: 'p', d: 21.37, v: 1.5 }];
    await history.take({ kind: 'ship', shipment: { ...first, rows }, isBesideCompaction: false });
    return history;
  }

  async take(each: Step): Promise<void> {
    const before = modelTexts(this.#model);
    if (each.kind === 'ship') await this.#ship(each.shipment, each.isBesideCompaction);
    else if (each.kind === 'delete') await this.#delete(each);
    else if (each.kind === 'compact') await this.#compact();
    else await this.#checkpoint();
    const { version } = await this.#lake.snapshot();
    this.#chapters.push({ lastVersion: version, before, after: modelTexts(this.#model) });
  }

  async #ship(generated: GeneratedShipment, isBesideCompaction: boolean): Promise<void> {
    const seq = (this.#seqs.get(generated.agent) ?? 0) + 1;
    this.#seqs.set(generated.agent, seq);
    await this.#lake.ship(toTestShipment(generated, seq));
    const compacting = isBesideCompaction ? this.#compact() : undefined;
    await this.#lake.runClean(this.#ingester);
    await compacting;
    write(this.#model, generated);
  }

  async #compact(): Promise<void> {
    await this.#catalog.refresh();
    await this.#upkeep.upkeep.compactor.runOnce();
  }

  async #checkpoint(): Promise<void> {
    const state = await this.#catalog.refreshTable(name);
    assert(state);
    const { store } = this.#lake;
    await writeCheckpoint({
      ...{ store, state },
      files: this.#catalog.checkpointFiles,
      nowMs: systemClock.nowMs(),
    });
  }

  async #delete({ condition: { where, holds }, from, to }: Step & { kind: 'delete' }): Promise<void> {
    await this.#catalog.refresh();
    const range = { startUs: noonUs + from, endUs: noonUs + to };
    const { jobs, upkeep } = this.#upkeep;
    const { id } = await upkeep.deleter.submit({ name, where, range, isDryRun: false });
    while (jobs.get(id)?.endedMs === undefined) await systemClock.sleep(2);
    assert.equal(jobs.get(id)?.state, 'done', jobs.get(id)?.error);
    for (const [key, fields] of this.#model) {
      const parts = key.split(' ');
      const timeUs = Number(parts[0]);
      if (timeUs >= range.startUs && timeUs < range.endUs && holds(fields, parts)) this.#model.delete(key);
    }
  }

  /** As somebody sees it who knows nothing yet. Within a step the rows change at most once. */
  async check(): Promise<void> {
    const catalog = new DeltaCatalog(this.#lake.store, systemClock, silentLogger());
    let version = 0;
    for (const { lastVersion, before, after } of this.#chapters) {
      let isAfter = false;
      for (; version <= lastVersion; version += 1) {
        const texts = await this.#textsAt(catalog, version);
        isAfter ||= version === lastVersion || String(texts) !== String(before);
        assert.deepEqual(texts, isAfter ? after : before, `version ${version}`);
      }
    }
    assert.equal(this.#chapters.at(-1)?.lastVersion, version - 1);
    await catalog.close();
  }

  async #textsAt(catalog: DeltaCatalog, version: number): Promise<string[]> {
    const state = await catalog.snapshotAt(name, { version });
    return state.files.size === 0 ? [] : (await this.#lake.readShownAt(state)).map(rowText).sort();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#deleting;
    await this.#upkeep.upkeep.close();
    await this.#catalog.close();
    await this.#lake.close();
  }
}
