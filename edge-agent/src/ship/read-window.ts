/** What the log still has of a range, decoded: the same messages make the same rows again. Damaged blocks are passed over. */
import type { Router } from '../decode/router.js';
import { readBlock } from '../log/block.js';
import type { EdgeLog, LogRange } from '../log/edge-log.js';
import { Window } from './window.js';

const readBytesMax = 256_000;

/** `clockBoot`: with what was known of clocks then; absent: now. */
export async function readWindow(
  log: Pick<EdgeLog, 'read'>,
  router: Router,
  { firstSeq, endSeq }: LogRange,
  clockBoot?: number,
): Promise<Window> {
  const window = new Window(0, firstSeq);
  let nextSeq = firstSeq;
  while (nextSeq < endSeq) {
    const blocks = await log.read(nextSeq, readBytesMax, clockBoot);
    if (blocks.length === 0) break;
    for (const block of blocks) {
      let seq = block.firstSeq;
      for (const message of readBlock(block.bytes, block.arrival?.shiftMs)) {
        if (seq >= nextSeq && seq < endSeq) {
          const streams = block.choices?.get(seq);
          window.take({ ...message, seq, source: block.source, streams }, router);
        }
        seq++;
      }
      nextSeq = Math.max(nextSeq, seq);
    }
  }
  return window;
}
