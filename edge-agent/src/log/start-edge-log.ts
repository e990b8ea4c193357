/** Opens the edge log on its own thread. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { messageOf, Failure } from '@varve/common/errors.js';
import { WorkerCaller } from '../worker-call.js';
import type { BootState } from './boots.js';
import type { DeadLetter, EdgeLog, LogSizes, LogState, Staged, StoredBlock } from './edge-log.js';
import type { LedgerRow, LossFacts } from './loss.js';
import type { LogBounds, SqliteLogOptions } from './sqlite-log.js';

/** Blocks lie outside of V8's heap: what it holds itself is small, and is collected before it grows. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

export interface EdgeLogOptions {
  readonly dataDir: string;
  readonly agent: string;
  readonly newEpoch: string;
  /** As in `SqliteLogOptions`. */
  readonly bounds?: LogBounds;
}

/** @throws Failure `data_dir_in_use`, `data_dir_mismatch`, `log_corrupt`, `disk_full`, `config_invalid` */
export async function startEdgeLog({ dataDir, ...options }: EdgeLogOptions): Promise<EdgeLog> {
  await makeDirectory(dataDir);
  const workerData: SqliteLogOptions = { path: join(dataDir, 'edge.sqlite'), ...options };
  const thread = new WorkerCaller(
    new Worker(new URL('./log-worker.js', import.meta.url), { workerData, resourceLimits }),
  );
  try {
    const opened = (await thread.call('open', [])) as LogState;
    return callerLog(thread, opened);
  } catch (error) {
    await thread.terminate();
    throw error;
  }
}

function callerLog(thread: WorkerCaller, opened: LogState): EdgeLog {
  return {
    opened,
    append: (blocks) =>
      thread.call(
        'append',
        [blocks],
        blocks.map(({ bytes }) => bytes.buffer),
      ) as Promise<number[]>,
    read: (fromSeq, bytesMax, clockBoot) =>
      thread.call('read', [fromSeq, bytesMax, clockBoot]) as Promise<StoredBlock[]>,
    beginBoot: (id) => thread.call('beginBoot', [id]) as Promise<BootState>,
    trustBoot: (trust) => thread.call('trustBoot', [trust]) as Promise<void>,
    stage: (request) => thread.call('stage', [request]) as Promise<Staged>,
    replace: (entry) => thread.call('replace', [entry]) as Promise<void>,
    confirm: (outboxId) => thread.call('confirm', [outboxId]) as Promise<void>,
    evict: (request) => thread.call('evict', [request]) as Promise<void>,
    releaseRecent: () => thread.call('releaseRecent', []) as Promise<void>,
    waitingLosses: () => thread.call('waitingLosses', []) as Promise<LedgerRow[]>,
    losses: () => thread.call('losses', []) as Promise<LossFacts>,
    deadLetters: (limit) => thread.call('deadLetters', [limit]) as Promise<DeadLetter[]>,
    sizes: (waitingFromSeq) => thread.call('sizes', [waitingFromSeq]) as Promise<LogSizes>,
    async close() {
      await thread.call('close', []);
      await thread.terminate();
    },
  };
}

async function makeDirectory(path: string): Promise<void> {
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
