/** A row of table `blocks`, read with all doubt: its checksum, or – where it has none – every message of it. */
import { Failure, isFailure } from '@varve/common/errors.js';
import { readBlock } from './block.js';
import { hasChecksum, unpackBlock, type BlockPlace } from './packed-block.js';

export interface PackedRow extends BlockPlace {
  readonly bytes: Uint8Array;
}

/** The block's bytes, which `readBlock` takes. @throws Failure `log_corrupt` where they are not what was written */
export function openBlock(row: PackedRow): Uint8Array<ArrayBuffer> {
  // Damage may change the type of a column, too.
  if (!(row.bytes instanceof Uint8Array) || typeof row.source !== 'string' || !(row.messageCount > 0))
    throw new Failure('log_corrupt', 'a row of the log holds what it cannot');
  const bytes = unpackBlock(row.bytes, row);
  if (hasChecksum(row.bytes)) {
    // A version that this program does not know.
    readBlock(bytes).next();
    return bytes;
  }
  const count = Array.from(readBlock(bytes)).length;
  if (count !== row.messageCount)
    throw new Failure('log_corrupt', `a block of the log holds ${count} messages, not ${row.messageCount}`);
  return bytes;
}

/** As `openBlock`, or why it cannot be read, for people. */
export function tryOpenBlock(row: PackedRow): Uint8Array<ArrayBuffer> | string {
  try {
    return openBlock(row);
  } catch (error) {
    if (isFailure(error, 'log_corrupt')) return error.message;
    throw error;
  }
}

/** Why a row cannot be read, for people; undefined where it can. */
export function whyUnreadable(row: PackedRow): string | undefined {
  const opened = tryOpenBlock(row);
  return typeof opened === 'string' ? opened : undefined;
}

/** Arrival of the first and the last message; undefined where the block is damaged. */
export function arrivalsOf(
  row: PackedRow,
): { readonly firstMs: number; readonly lastMs: number } | undefined {
  try {
    let firstMs: number | undefined;
    let lastMs = 0;
    for (const { arrivedMs } of readBlock(openBlock(row))) {
      firstMs ??= arrivedMs;
      lastMs = arrivedMs;
    }
    return firstMs === undefined ? undefined : { firstMs, lastMs };
  } catch (error) {
    if (isFailure(error, 'log_corrupt')) return undefined;
    throw error;
  }
}
