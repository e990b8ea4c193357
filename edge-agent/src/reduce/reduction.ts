/**
 * The reduction of all streams, for the stager: which rows of a window are shipped.
 *
 * 1. `plan` takes the rows of a window through copies of the states (`fold-rows.ts`), and changes nothing. 2. What has changed of
 * the states is durable in the transaction that stages the shipments, and moves the position: the commit point. 3. `accept`
 * puts the copies in the states' place. So the states are always those of the position, and the same messages make the same
 * rows, wherever the agent is killed and windows are cut.
 *
 * The states are of the live lane, and of the messages up to `nextSeq` without a gap. Where a window begins elsewhere – others
 * were jumped over, or evicted – what is held leaves and everything is forgotten: the next row of each series is shipped.
 * Windows of the backlog begin with nothing and hold nothing back.
 *
 * Where stored states are damaged, what can be read of that table's leaves, the rest is forgotten, and a row of the loss ledger
 * says so, in the transaction that lets go of them.
 */
import type { Logger } from '@varve/common/log.js';
import type { BatchColumns, TableBatch } from '../batch/table-batch.js';
import type { OpenBatch } from '../decode/append-rows.js';
import { tableOf, type StreamConfig } from '../decode/stream-config.js';
import type { ReduceRecipe, ReductionChange, ReductionState } from '../log/edge-log.js';
import type { Loss } from '../log/loss.js';
import { liveLane, type ShippingLane } from '../ship/plan-lanes.js';
import type { Window } from '../ship/window.js';
import { RowFolder } from './fold-rows.js';
import { lossOfStates } from './lost-states.js';
import { makeRecipe } from './reduce-recipe.js';
import { composeRows } from './reduced-columns.js';
import type { ReduceConfig } from './reduce-config.js';
import { cell, readStates, SeriesStates, type StoredStates } from './series-states.js';

/** Series times fields, of all streams together: 24 bytes each, 64 where a stream has swinging doors. */
export const cellsMax = 200_000;
/** Changes are written until they are more than this, and than all of it. */
const changesBytesMin = 64_000;
const changesMax = 1_000;

export interface ReducedBatch {
  readonly database: string;
  readonly table: string;
  readonly columns: BatchColumns;
  /** Absent: all rows are there, and no others. */
  readonly recipe: ReduceRecipe | undefined;
}

export interface ReductionCounts {
  readonly table: string;
  readonly leftOut: number;
  /** Shipped as they came, since there is no room to remember more series or fields. */
  readonly unjudged: number;
}

export interface ReductionPlan {
  /** By `database.table`; a table that is not there is not reduced. */
  readonly batches: ReadonlyMap<string, ReducedBatch>;
  readonly counts: readonly ReductionCounts[];
  /** To be durable with the shipments; undefined: nothing is reduced. */
  readonly changes: readonly ReductionChange[] | undefined;
  /** To be durable with the changes. */
  readonly losses: readonly Loss[];
  /** The plan is durable. */
  readonly accept: () => void;
}

interface Reducer {
  readonly key: string;
  readonly config: ReduceConfig;
  readonly fingerprint: string;
  states: SeriesStates;
  /** Durable since all of it was written. */
  changesBytes: number;
  changes: number;
  /** Rows were shipped for want of room, and everything may be forgotten again from then on. */
  isOverfull: boolean;
  forgottenMs: number;
}

export interface ReductionOptions {
  readonly streams: readonly StreamConfig[];
  readonly opened: ReductionState;
  readonly cellsMax?: number;
  /** Told of states that could not be read. */
  readonly logger?: Logger;
}

export const noReduction: ReductionState = { nextSeq: 0, states: [] };

export class Reduction {
  readonly #reducers: readonly Reducer[];
  readonly #cellsMax: number;
  #nextSeq: number;
  /** Of tables that are reduced no more, or otherwise: what was held leaves with the next shipment. */
  #orphans: ReadonlyMap<string, readonly StoredStates[]>;
  #nextDueMs: number | undefined;
  /** Of tables whose states could not be read. */
  #damaged: readonly string[];

  constructor({ streams, opened, cellsMax: bound = cellsMax, logger }: ReductionOptions) {
    const reduced = streams.flatMap((stream) => {
      const table = tableOf(stream);
      return stream.reduce && table !== undefined
        ? [{ key: `${stream.database}.${table}`, config: stream.reduce }]
        : [];
    });
    this.#cellsMax = Math.floor(bound / Math.max(1, reduced.length));
    this.#reducers = reduced.map(({ key, config }) => {
      const fingerprint = JSON.stringify([key, [...config.rules], config.heartbeatMs]);
      const states = this.#emptyStates(config, fingerprint);
      return {
        ...{ key, config, fingerprint, states, changesBytes: 0, changes: 0 },
        ...{ isOverfull: false, forgottenMs: -Infinity },
      };
    });
    this.#nextSeq = opened.nextSeq;
    const { orphans, damaged } = this.#restore(opened);
    this.#orphans = orphans;
    this.#damaged = damaged;
    if (damaged.length > 0)
      logger?.error(
        { tables: damaged },
        'what was remembered for reducing is damaged; rows held back are lost, see the loss ledger',
      );
    this.#nextDueMs = orphans.size > 0 ? 0 : this.#findNextDueMs();
  }

  /** When a row that is held leaves though nothing comes, ms since 1970; undefined: none is. */
  get nextDueMs(): number | undefined {
    return this.#nextDueMs;
  }

  /** `nextSeq`: the position of the live lane afterwards. */
  plan(lane: ShippingLane, window: Window, nextSeq: number, nowMs: number): ReductionPlan {
    return lane === liveLane ? this.#planLive(window, nextSeq, nowMs) : this.#planBacklog(window);
  }

  #planBacklog(window: Window): ReductionPlan {
    const all = this.#reducers.map((reducer) => {
      const folder = new RowFolder(this.#emptyStates(reducer.config, reducer.fingerprint), reducer.config);
      return planTable(reducer.key, folder, rowsOf(window, reducer.key), () => folder.release());
    });
    return { ...join(all), changes: undefined, losses: [], accept: () => undefined };
  }

  #planLive(window: Window, nextSeq: number, nowMs: number): ReductionPlan {
    if (this.#reducers.length === 0 && this.#orphans.size === 0)
      return { batches: new Map(), counts: [], changes: undefined, losses: [], accept: () => undefined };
    const isContinued = window.firstSeq === this.#nextSeq;
    const planned = this.#reducers.map((reducer) => this.#planReducer(reducer, window, isContinued, nowMs));
    const orphans = [...this.#orphans].map(([key, stored]) => planOrphan(key, stored, window));
    const others = planned.filter(({ key }) => !this.#orphans.has(key));
    return {
      ...join([...others, ...orphans]),
      losses: this.#damaged.map((table) => lossOfStates(table, this.#nextSeq, nowMs)),
      changes: [
        ...[...this.#orphans.keys()].map((table) => ({ table, isWhole: true, bytes: null })),
        ...planned.flatMap(({ change }) => change ?? []),
      ],
      accept: () => {
        this.#nextSeq = nextSeq;
        this.#orphans = new Map();
        this.#damaged = [];
        for (const { accept } of planned) accept();
        this.#nextDueMs = this.#findNextDueMs();
      },
    };
  }

  #planReducer(reducer: Reducer, window: Window, isContinued: boolean, nowMs: number) {
    const { key, config, fingerprint } = reducer;
    const heartbeatUs = config.heartbeatMs * 1_000;
    const isForgotten =
      !isContinued || (reducer.isOverfull && nowMs - reducer.forgottenMs >= config.heartbeatMs);
    const before = new RowFolder(reducer.states.copy(), config);
    if (isForgotten) before.release();
    const states = isForgotten ? this.#emptyStates(config, fingerprint) : before.states;
    const folder = isForgotten ? new RowFolder(states, config, before.released) : before;
    const table = planTable(key, folder, rowsOf(window, key), () =>
      folder.release(nowMs * 1_000 - heartbeatUs, nowMs * 1_000 + heartbeatUs),
    );
    const change = this.#planChange(reducer, states, isForgotten);
    const accept = () => {
      reducer.states = states;
      states.forgetTouched();
      reducer.isOverfull = table.counts.unjudged > 0;
      if (isForgotten) reducer.forgottenMs = nowMs;
      if (!change) return;
      reducer.changesBytes = change.isWhole ? 0 : reducer.changesBytes + (change.bytes?.length ?? 0);
      reducer.changes = change.isWhole ? 0 : reducer.changes + 1;
    };
    return { ...table, change, accept };
  }

  #planChange(
    { key, changesBytes, changes }: Reducer,
    states: SeriesStates,
    isForgotten: boolean,
  ): ReductionChange | undefined {
    if (!isForgotten && states.touchedCount === 0) return undefined;
    const isMuch = changes >= changesMax || changesBytes > Math.max(changesBytesMin, states.estimatedBytes);
    const isWhole = isForgotten || isMuch;
    return { table: key, isWhole, bytes: states.toBytes(isWhole) };
  }

  #restore({ states }: ReductionState) {
    const read = states.map(({ table, bytes }) => ({ table, bytes, stored: readStates(bytes) }));
    const damaged = new Set(
      read.flatMap(({ table, stored }) => {
        const written = stored && tableOfFingerprint(stored.header.config);
        return written === table ? [] : [table, ...(written === undefined ? [] : [written])];
      }),
    );
    const orphans = new Map<string, StoredStates[]>([...damaged].map((table) => [table, []]));
    for (const { table, bytes, stored } of read) {
      if (!stored) continue;
      const reducer = this.#reducers.find(({ key }) => key === table);
      if (reducer?.fingerprint === stored.header.config && !damaged.has(table)) {
        reducer.states.apply(stored);
        reducer.changesBytes += bytes.length;
        reducer.changes++;
      } else {
        // One that is damaged may have been newer: what was shipped last is not known.
        const written = tableOfFingerprint(stored.header.config);
        orphans.set(written, [...(orphans.get(written) ?? []), stored]);
      }
    }
    return { orphans, damaged: [...damaged] };
  }

  #emptyStates(config: ReduceConfig, fingerprint: string): SeriesStates {
    const hasDoors = [...config.rules.values()].some(({ kind }) => kind === 'swinging_door');
    return new SeriesStates(fingerprint, hasDoors, this.#cellsMax);
  }

  #findNextDueMs(): number | undefined {
    let dueMs = Infinity;
    for (const { states, config } of this.#reducers) {
      if (!states.hasDoors) continue;
      for (const { cells } of states.fields)
        for (let slot = 0; slot < states.seriesCount; slot++) {
          const at = slot * states.stride;
          if (cells[at + cell.heldType] !== 0)
            dueMs = Math.min(dueMs, (cells[at + cell.heldUs] ?? 0) / 1_000 + config.heartbeatMs);
        }
    }
    return dueMs === Infinity ? undefined : dueMs;
  }
}

/** So that states whose table's name is damaged are not taken for another's. */
function tableOfFingerprint(fingerprint: string): string {
  return (JSON.parse(fingerprint) as [table: string])[0];
}

interface TablePlan {
  readonly key: string;
  readonly batch: ReducedBatch;
  readonly counts: ReductionCounts;
}

function planTable(
  key: string,
  folder: RowFolder,
  rows: BatchColumns,
  releaseAfterwards: () => void,
): TablePlan {
  const folded = folder.fold(rows);
  releaseAfterwards();
  return planBatch(key, rows, folded.leaves, folded.leavingCount, folder.released, folded.unjudgedCount);
}

function planBatch(
  key: string,
  rows: BatchColumns,
  leaves: Uint8Array,
  leavingCount: number,
  releasedRows: TableBatch,
  unjudged: number,
): TablePlan {
  const released = releasedRows.rowCount > 0 ? releasedRows.finish() : undefined;
  const isAll = leavingCount === rows.rowCount && !released;
  const columns = composeRows(rows, leaves, leavingCount, released);
  const leftOut = rows.rowCount - columns.rowCount;
  const [database = '', table = ''] = key.split('.');
  return {
    key,
    batch: { database, table, columns, recipe: isAll ? undefined : makeRecipe(leaves, released) },
    counts: { table, leftOut, unjudged },
  };
}

/** Everything that came, and what had been held before. */
function planOrphan(key: string, stored: readonly StoredStates[], window: Window): TablePlan {
  const rows = rowsOf(window, key);
  const config = { rules: new Map(), heartbeatMs: 0 };
  const states = new SeriesStates('', stored[0]?.header.hasDoors === true, Infinity);
  for (const one of stored) if (one.header.hasDoors === states.hasDoors) states.apply(one);
  const folder = new RowFolder(states, config);
  folder.release();
  const leaves = new Uint8Array(rows.rowCount).fill(1);
  return planBatch(key, rows, leaves, rows.rowCount, folder.released, 0);
}

function join(tables: readonly TablePlan[]): Pick<ReductionPlan, 'batches' | 'counts'> {
  return {
    batches: new Map(tables.map(({ key, batch }) => [key, batch])),
    counts: tables.map(({ counts }) => counts),
  };
}

const noRows: BatchColumns = {
  ...{ rowCount: 0, timeUs: new Float64Array(0), tags: [], fields: [], originalNames: {} },
};

function rowsOf(window: Window, key: string): BatchColumns {
  const open: OpenBatch | undefined = window.batches.get(key);
  return open && open.batch.rowCount > 0 ? open.batch.finish() : noRows;
}
