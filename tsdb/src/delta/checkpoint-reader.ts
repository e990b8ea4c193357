/**
 * A checkpoint read back: what the table is, how far each lane is, and every live file, in batches, so that a million
 * files are never all held as text.
 */
import { Failure, isFailure, messageOf } from '@varve/common/errors.js';
import { parseAction, type Action, type Add, type Remove } from './actions.js';
import { checkpointRelation, hasSidecars } from './checkpoint-schema.js';
import type { CheckpointFiles } from './checkpoint-files.js';
import { SqlError, type Session } from './duckdb.js';
import { streamTexts } from './row-texts.js';
import type { Checkpoint } from './log-listing.js';

export interface CheckpointVisitor {
  /** First, once: protocol, metaData and transactions. */
  begin(actions: readonly Action[]): void;
  add(add: Add): void;
}

/** @throws Failure `object_corrupt` or `object_missing` naming the file: another checkpoint may do */
export async function readCheckpoint(
  files: CheckpointFiles,
  checkpoint: Checkpoint,
  visitor: CheckpointVisitor,
): Promise<void> {
  try {
    await files.withSession(checkpoint, async (session, paths) => {
      if (await hasSidecars(session, paths)) throw v2Checkpoint(checkpoint);
      const relation = await checkpointRelation(session, paths);
      visitor.begin(await readActions(session, relation, checkpoint));
      await readAdds(session, relation, await files.newPath(), visitor);
    });
  } catch (error) {
    // The latter of a file that went away between the listing and now, where the store is a folder.
    if (error instanceof SqlError || isFailure(error, 'data_dir_unusable'))
      throw unreadable(checkpoint, error);
    throw error;
  }
}

/** Files that are gone; older ones may have been forgotten. */
export async function readTombstones(
  files: CheckpointFiles,
  checkpoint: Checkpoint,
  visit: (remove: Pick<Remove, 'path' | 'deletionTimestamp' | 'dataChange'>) => void,
): Promise<void> {
  await files.withSession(checkpoint, async (session, paths) => {
    const relation = await checkpointRelation(session, paths);
    const removes = `SELECT remove.path, CAST(remove.deletionTimestamp AS DOUBLE) FROM ${relation} WHERE remove IS NOT NULL`;
    for await (const rows of session.stream(removes))
      for (const [path, ms] of rows)
        visit({ path: String(path), deletionTimestamp: ms as number | null, dataChange: false });
  });
}

/** A checkpoint without which the table may still be read, from an older one. */
export function isUnusable(error: unknown): boolean {
  return isFailure(error, 'object_corrupt') || isFailure(error, 'object_missing');
}

function unreadable({ keys }: Checkpoint, cause: unknown): Failure {
  return new Failure('object_corrupt', `checkpoint ${keys[0] ?? ''} cannot be read: ${messageOf(cause)}`, {
    cause,
    facts: { key: keys[0] },
  });
}

function v2Checkpoint({ keys }: Checkpoint): Failure {
  return new Failure('table_unreadable', `${keys[0] ?? ''} is a checkpoint of feature v2Checkpoint`, {
    hint: 'have the program that writes it make a classic checkpoint',
    facts: { key: keys[0] },
  });
}

async function readActions(session: Session, relation: string, checkpoint: Checkpoint): Promise<Action[]> {
  const key = checkpoint.keys[0] ?? '';
  const actions: Action[] = [];
  for (const column of ['protocol', 'metaData'] as const) {
    const [row, ...more] = await session.rows(
      `SELECT CAST(to_json(${column}) AS VARCHAR) AS json FROM ${relation} WHERE ${column} IS NOT NULL`,
    );
    if (!row || more.length > 0)
      throw unreadable(checkpoint, new Error(`it has ${row ? 'several' : 'no'} ${column}`));
    actions.push(...parseAction(key, `{"${column}":${withoutNulls(String(row['json']))}}`, 1));
  }
  const transactions = `SELECT txn.appId, CAST(txn.version AS DOUBLE) FROM ${relation} WHERE txn IS NOT NULL`;
  for await (const rows of session.stream(transactions))
    for (const [appId, version] of rows)
      actions.push({ txn: { appId: String(appId), version: Number(version) } });
  return actions;
}

/** In Parquet, what an action leaves out is null. */
function withoutNulls(json: string): string {
  return JSON.stringify(JSON.parse(json, (_, value: unknown) => value ?? undefined));
}

/** Between the members of a row: none of them can hold it, since paths are URIs and JSON escapes it. */
const separator = '\u001f';

async function readAdds(
  session: Session,
  relation: string,
  path: string,
  visitor: CheckpointVisitor,
): Promise<void> {
  const members = [
    'add.path',
    "coalesce(add.partitionValues['day'], '')",
    'coalesce(add.size, 0)',
    'coalesce(add.modificationTime, 0)',
    "coalesce(CAST(to_json(add.tags) AS VARCHAR), '')",
    "coalesce(add.stats, '')",
  ];
  const adds = {
    text: `concat_ws(chr(31), ${members.join(', ')})`,
    relation: `${relation} WHERE add IS NOT NULL`,
    path,
  };
  for await (const rows of streamTexts(session, adds)) for (const row of rows) visitor.add(parseAdd(row));
}

function parseAdd(row: string): Add {
  const dayAt = row.indexOf(separator) + 1;
  const sizeAt = row.indexOf(separator, dayAt) + 1;
  const modificationTimeAt = row.indexOf(separator, sizeAt) + 1;
  const tagsAt = row.indexOf(separator, modificationTimeAt) + 1;
  const statsAt = row.indexOf(separator, tagsAt) + 1;
  const member = (start: number, nextAt: number) => row.slice(start, nextAt - 1);
  const [day, tags] = [member(dayAt, sizeAt), member(tagsAt, statsAt)];
  return {
    // A copy: a part of a text keeps all of it in memory, and the path stays.
    path: Buffer.from(member(0, dayAt)).toString(),
    // The only partition column there is; empty text is null.
    partitionValues: { day: day === '' ? null : day },
    size: Number(member(sizeAt, modificationTimeAt)),
    modificationTime: Number(member(modificationTimeAt, tagsAt)),
    dataChange: false,
    stats: row.slice(statsAt),
    tags: tags === '' ? null : (JSON.parse(tags) as Record<string, string | null>),
  };
}
