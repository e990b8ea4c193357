/** What the log still has of a range, decoded: the same messages make the same rows again. */
import { isFailure } from '@varve/common/errors.js';
import type { Router } from '../decode/router.js';
import { readBlock } from '../log/block.js';
import type { EdgeLog, LogRange, StoredBlock } from '../log/edge-log.js';
import { Window } from './window.js';

const readBytesMax = 256_000;

export async function readWindow(
  log: Pick<EdgeLog, 'read'>,
  router: Router,
  { firstSeq, endSeq }: LogRange,
): Promise<Window> {
  const window = new Window(0, firstSeq);
  let nextSeq = firstSeq;
  while (nextSeq < endSeq) {
    const blocks = await readBlocks(log, nextSeq);
    if (blocks.length === 0) break;
    for (const block of blocks) {
      let seq = block.firstSeq;
      for (const message of readBlock(block.bytes)) {
        if (seq >= nextSeq && seq < endSeq) window.take({ ...message, seq, source: block.source }, router);
        seq++;
      }
      nextSeq = Math.max(nextSeq, seq);
    }
  }
  return window;
}

/** None where the log itself is damaged. */
async function readBlocks(log: Pick<EdgeLog, 'read'>, fromSeq: number): Promise<StoredBlock[]> {
  try {
    return await log.read(fromSeq, readBytesMax);
  } catch (error) {
    if (isFailure(error, 'log_corrupt')) return [];
    throw error;
  }
}
