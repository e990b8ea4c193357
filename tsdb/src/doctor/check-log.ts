/**
 * Looks at a table's log for `varve-tsdb doctor`: can it be read, are versions missing, do its checkpoints hold.
 */
import { lastCheckpointKey, type TableName } from '@varve/common/contract/object-keys.js';
import { isFailure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import type { CheckpointFiles } from '../delta/checkpoint-files.js';
import { isUnusable, readCheckpoint } from '../delta/checkpoint-reader.js';
import { readLastCheckpoint } from '../delta/last-checkpoint.js';
import { listLog, planLogRead, type Checkpoint, type LogListing } from '../delta/log-listing.js';
import type { Finding } from './finding.js';

/** More are slow to open; the server writes a checkpoint every twenty. */
const commitsWithoutCheckpointMax = 200;

export async function checkLog(
  store: Store,
  files: CheckpointFiles,
  name: TableName,
  table: string,
): Promise<Finding[]> {
  const listing = await listLog(store, name);
  const findings: Finding[] = [];
  const torn = await findTorn(files, listing);
  for (const { checkpoint, reason } of torn)
    findings.push(tornCheckpoint(store, name, table, listing, checkpoint, reason));
  findings.push(...findGaps(listing, table));
  const hint = await readLastCheckpoint(store, name);
  const whole = listing.checkpoints.filter((one) => !torn.some(({ checkpoint }) => checkpoint === one));
  if (hint !== undefined && !whole.some(({ version }) => version === hint))
    findings.push({
      kind: 'log',
      table,
      text: `_last_checkpoint names version ${hint}, of which there is no good checkpoint`,
      remedy: '--repair deletes it; readers then look for themselves',
      repair: () => store.delete([lastCheckpointKey(name)]),
    });
  const since = listing.commits.filter(({ version }) => version > (whole.at(-1)?.version ?? -1)).length;
  if (since > commitsWithoutCheckpointMax)
    findings.push({
      kind: 'log',
      table,
      text: `${since} commits since the last checkpoint: the table opens slowly`,
      remedy: 'let varve-tsdb serve run: it writes one',
    });
  return findings;
}

interface Torn {
  readonly checkpoint: Checkpoint;
  readonly reason: string;
}

/** Looks at the newest ones: older ones matter to older versions only, and to clean-up. */
async function findTorn(files: CheckpointFiles, { checkpoints }: LogListing): Promise<Torn[]> {
  const torn: Torn[] = [];
  for (const checkpoint of checkpoints.slice(-checkpointsRead))
    try {
      await readCheckpoint(files, checkpoint, { begin: () => undefined, add: () => undefined });
    } catch (error) {
      if (!isUnusable(error) && !isFailure(error, 'table_unreadable')) throw error;
      torn.push({ checkpoint, reason: error instanceof Error ? error.message : String(error) });
    }
  return torn;
}

const checkpointsRead = 3;

/** It may go where the newest version can be read without it. */
function tornCheckpoint(
  store: Store,
  name: TableName,
  table: string,
  listing: LogListing,
  checkpoint: Checkpoint,
  reason: string,
): Finding {
  const finding = { kind: 'log', table, text: reason } as const;
  try {
    const plan = planLogRead(name, listing, { unusable: new Set([checkpoint]) });
    if (!plan.checkpoint && plan.commits.length === 0) throw new Error('nothing is left');
    return {
      ...finding,
      remedy: '--repair deletes it: the table can be read without it, and gets another one',
      repair: () => store.delete(checkpoint.keys),
    };
  } catch {
    return {
      ...finding,
      remedy: `restore ${checkpoint.keys[0] ?? 'it'} from a backup: the table cannot be read without it`,
    };
  }
}

/** Versions that are missing between others; before a checkpoint they stop readers of old versions only. */
function findGaps({ commits, checkpoints }: LogListing, table: string): Finding[] {
  const newestCheckpoint = checkpoints.at(-1)?.version ?? -1;
  const findings: Finding[] = [];
  for (const [index, { version }] of commits.entries()) {
    const before = commits[index - 1]?.version;
    if (before === undefined || version === before + 1) continue;
    // A pinned version stands alone, with its checkpoint.
    if (checkpoints.some((checkpoint) => checkpoint.version === before) && before < newestCheckpoint)
      continue;
    const isOld = version <= newestCheckpoint;
    findings.push({
      kind: 'log',
      table,
      text: `versions ${before + 1} to ${version - 1} are missing from the log`,
      remedy: isOld
        ? 'only older versions cannot be read; they go with the next clean-up'
        : 'restore their files in _delta_log from a backup: the table cannot be read beyond them',
    });
  }
  return findings;
}
