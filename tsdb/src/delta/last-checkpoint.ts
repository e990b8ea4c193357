/**
 * `_last_checkpoint`: where a reader may begin (PROTOCOL.md, "Last Checkpoint File"). A hint and no more: it may be missing,
 * wrong, or behind. It is written after the checkpoint and does not go backwards, except that of two processes which write
 * it at one instant the later one wins; then it is behind.
 */
import { lastCheckpointKey, type TableName } from '@varve/common/contract/object-keys.js';
import { isFailure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import { z } from 'zod';

const hintSchema = z.object({ version: z.int().nonnegative() });

export interface CheckpointSize {
  readonly version: number;
  readonly rowCount: number;
  readonly bytes: number;
  readonly addCount: number;
}

/** Undefined when there is none that makes sense. */
export async function readLastCheckpoint(store: Store, name: TableName): Promise<number | undefined> {
  try {
    const text = Buffer.from(await store.get(lastCheckpointKey(name))).toString('utf8');
    return hintSchema.safeParse(JSON.parse(text)).data?.version;
  } catch (error) {
    if (error instanceof SyntaxError || isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}

export async function writeLastCheckpoint(
  store: Store,
  name: TableName,
  size: CheckpointSize,
): Promise<void> {
  const { version, rowCount, bytes, addCount } = size;
  if (((await readLastCheckpoint(store, name)) ?? -1) >= version) return;
  const hint = { version, size: rowCount, sizeInBytes: bytes, numOfAddFiles: addCount };
  await store.put(lastCheckpointKey(name), Buffer.from(JSON.stringify(hint)));
}
