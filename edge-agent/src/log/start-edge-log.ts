/** Opens the edge log on its own thread. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { isFailure, messageOf, Failure } from '@varve/common/errors.js';
import { WorkerCaller } from '../worker-call.js';
import type { BootState } from './boots.js';
import type { DeadLetter, EdgeLog, LogSizes, LogState, Staged, StoredBlock } from './edge-log.js';
import type { LedgerRow, Loss, LossFacts } from './loss.js';
import type { SalvageReport } from './salvage.js';
import type { LogBounds, SqliteLogOptions } from './sqlite-log.js';

/** Blocks lie outside of V8's heap: what it holds itself is small, and is collected before it grows. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

/** In `data_dir`. */
export const databaseFile = 'edge.sqlite';

export interface EdgeLogOptions {
  readonly dataDir: string;
  readonly agent: string;
  readonly newEpoch: string;
  /** As in `SqliteLogOptions`. */
  readonly bounds?: LogBounds;
  /** Damage that was found while it was open before: it is salvaged first. */
  readonly damage?: string | undefined;
  readonly onDamage?: DamageListener;
}

/** Hears of damage, to tell people. */
export interface DamageListener {
  /** A salvage begins: with a large database it takes minutes. */
  readonly onSalvage: (why: string) => void;
  readonly onSalvaged: (report: SalvageReport) => void;
  /** Damaged blocks were passed over; the ledger has them. */
  readonly onSetAside: (losses: readonly Loss[]) => void;
}

const silent: DamageListener = {
  onSalvage: () => undefined,
  onSalvaged: () => undefined,
  onSetAside: () => undefined,
};

/**
 * Salvages a damaged database first, once.
 * @throws Failure `data_dir_in_use`, `data_dir_mismatch`, `log_corrupt`, `disk_full`, `config_invalid`
 */
export async function startEdgeLog(options: EdgeLogOptions): Promise<EdgeLog> {
  const { dataDir, damage, onDamage = silent, ...rest } = options;
  await makeDataDir(dataDir);
  const workerData: SqliteLogOptions = { path: join(dataDir, databaseFile), ...rest };
  const thread = new WorkerCaller(
    new Worker(new URL('./log-worker.js', import.meta.url), { workerData, resourceLimits }),
  );
  const salvage = async (why: string): Promise<LogState> => {
    onDamage.onSalvage(why);
    onDamage.onSalvaged((await thread.call('salvage', [why])) as SalvageReport);
    return (await thread.call('open', []).catch((error: unknown) => {
      throw isFailure(error, 'log_corrupt') ? stillDamaged(workerData.path, error) : error;
    })) as LogState;
  };
  try {
    const opened = damage === undefined ? await openOr(thread, salvage) : await salvage(damage);
    return callerLog(thread, opened, onDamage);
  } catch (error) {
    await thread.terminate();
    throw error;
  }
}

async function openOr(thread: WorkerCaller, salvage: (why: string) => Promise<LogState>): Promise<LogState> {
  try {
    return (await thread.call('open', [])) as LogState;
  } catch (error) {
    if (isFailure(error, 'log_corrupt')) return salvage(error.message);
    throw error;
  }
}

/** The disk damages what is written to it: trying again and again would only wear it out. */
export function stillDamaged(path: string, cause: Failure): Failure {
  return new Failure(
    'log_corrupt',
    `${path} is damaged again right after it was salvaged: ${cause.message}`,
    {
      cause,
      hint: 'check the disk (dmesg, smartctl), then run "varve-edge doctor --repair --config edge.yaml"; what was found damaged is in data_dir/set-aside',
    },
  );
}

function callerLog(thread: WorkerCaller, opened: LogState, { onSetAside }: DamageListener): EdgeLog {
  return {
    opened,
    append: (blocks) =>
      thread.call(
        'append',
        [blocks],
        blocks.map(({ bytes }) => bytes.buffer),
      ) as Promise<number[]>,
    async read(fromSeq, bytesMax, clockBoot) {
      const { blocks, setAside } = (await thread.call('read', [fromSeq, bytesMax, clockBoot])) as {
        blocks: StoredBlock[];
        setAside: Loss[];
      };
      if (setAside.length > 0) onSetAside(setAside);
      return blocks;
    },
    beginBoot: (id) => thread.call('beginBoot', [id]) as Promise<BootState>,
    trustBoot: (trust) => thread.call('trustBoot', [trust]) as Promise<void>,
    stage: (request) => thread.call('stage', [request]) as Promise<Staged>,
    replace: (entry, losses) => thread.call('replace', [entry, losses]) as Promise<void>,
    shippedLosses: (outboxId) => thread.call('shippedLosses', [outboxId]) as Promise<LedgerRow[]>,
    confirm: (outboxId, keepFromMs) => thread.call('confirm', [outboxId, keepFromMs]) as Promise<void>,
    releaseKept: (messages) => thread.call('releaseKept', [messages]) as Promise<number>,
    evict: (request) => thread.call('evict', [request]) as Promise<void>,
    releaseRecent: () => thread.call('releaseRecent', []) as Promise<void>,
    waitingLosses: () => thread.call('waitingLosses', []) as Promise<LedgerRow[]>,
    losses: () => thread.call('losses', []) as Promise<LossFacts>,
    deadLetters: (limit) => thread.call('deadLetters', [limit]) as Promise<DeadLetter[]>,
    deadLettersFrom: (fromSeq, endSeq, limit) =>
      thread.call('deadLettersFrom', [fromSeq, endSeq, limit]) as Promise<DeadLetter[]>,
    replayDeadLetters: (request) => thread.call('replayDeadLetters', [request]) as Promise<Loss[]>,
    sizes: (waitingFromSeq) => thread.call('sizes', [waitingFromSeq]) as Promise<LogSizes>,
    subscribed: (session) => thread.call('subscribed', [session]) as Promise<string[]>,
    setSubscribed: (session, filters) => thread.call('setSubscribed', [session, filters]) as Promise<void>,
    async close() {
      try {
        await thread.call('close', []);
      } finally {
        await thread.terminate();
      }
    },
  };
}

/** If it is not there yet. @throws Failure `config_invalid` */
export async function makeDataDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw new Failure('config_invalid', `cannot make data_dir ${path}: ${messageOf(cause)}`, {
      cause,
      hint: 'write a folder in data_dir that this user may write',
    });
  }
}

/**
 * A name for a new epoch: its time of birth, so that later lives sort after earlier ones, and a random part, so that two
 * never share one even where the clock is wrong.
 */
export function nameEpoch(nowMs: number, random: string): string {
  const birth = new Date(nowMs).toISOString().replace(/[-:]/g, '').slice(0, 15).toLowerCase();
  return `${birth}z-${random}`;
}
