/**
 * What the log still has of the messages that arrived in some time, as rows: those of `raw: keep`, and whatever else is there.
 * A part at a time, so that memory does not grow with what is kept.
 */
import type { OpenBatch } from '../decode/append-rows.js';
import type { Router } from '../decode/router.js';
import { readBlock } from '../log/block.js';
import type { EdgeLog } from '../log/edge-log.js';
import { Window } from './window.js';

const readBytesMax = 256_000;

export interface KeptRequest {
  readonly log: Pick<EdgeLog, 'read'>;
  /** One of its own: a router keeps what it has seen. */
  readonly router: Router;
  /** Of arrival, ms since 1970: from then on, and up to before. */
  readonly fromMs: number;
  readonly belowMs: number;
}

/** In the order of the log. Messages that no stream can read are passed over: they are dead letters. */
export async function* readKept({ log, router, fromMs, belowMs }: KeptRequest): AsyncGenerator<OpenBatch> {
  let nextSeq = 0;
  for (;;) {
    const blocks = await log.read(nextSeq, readBytesMax);
    const [first] = blocks;
    if (!first) return;
    const window = new Window(0, first.firstSeq);
    for (const { firstSeq, messageCount, source, bytes, arrival, choices } of blocks) {
      let seq = firstSeq;
      for (const message of readBlock(bytes, arrival?.shiftMs)) {
        if (message.arrivedMs >= fromMs && message.arrivedMs < belowMs)
          window.take({ ...message, seq, source, streams: choices?.get(seq) }, router);
        seq++;
      }
      nextSeq = firstSeq + messageCount;
    }
    for (const open of window.batches.values()) if (open.batch.rowCount > 0) yield open;
  }
}
