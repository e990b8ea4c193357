/**
 * Which messages of some blocks go, and what stays of the blocks. Pure.
 *
 * A block holds messages of several streams. Those whose priority is not above the one that has its turn are dropped; what is
 * kept stands in the same block, at its old number, with an evicted message (`log/block.ts`) in the place of each dropped
 * one. A block of which nothing is left goes altogether. So a block is written again at most once for each priority but the
 * highest, and with one priority only – the usual case – never.
 */
import { BlockBuilder, evictedMessage, isEvicted, readBlock, readBlockClock } from '../log/block.js';
import type { EvictRequest, StoredBlock } from '../log/edge-log.js';
import type { Loss } from '../log/loss.js';
import type { Message } from '../message.js';

export interface Rank {
  /** Null where no stream wants it. */
  readonly stream: string | null;
  readonly priority: number;
}

export interface EvictionRule {
  readonly rankOf: (topic: string) => Rank;
  /** This one and lower ones go. */
  readonly priorityMax: number;
  readonly whenMs: number;
  readonly reason: string;
}

export function planEviction(blocks: readonly StoredBlock[], rule: EvictionRule): EvictRequest {
  const losses = new Map<string | null, Loss>();
  const changes: EvictRequest['blocks'][number][] = [];
  for (const { firstSeq, bytes, arrival } of blocks) {
    const clock = readBlockClock(bytes);
    const kept = new BlockBuilder(() => clock);
    const shiftMs = arrival?.shiftMs ?? 0;
    let keptCount = 0;
    let droppedCount = 0;
    let seq = firstSeq;
    for (const message of readBlock(bytes)) {
      const rank = isEvicted(message) ? undefined : rule.rankOf(message.topic);
      const isKept = rank !== undefined && rank.priority > rule.priorityMax;
      kept.add(isKept ? message : evictedMessage(message));
      if (isKept) keptCount++;
      if (rank && !isKept) {
        droppedCount++;
        losses.set(rank.stream, addLoss(losses.get(rank.stream), rank.stream, seq, message, shiftMs, rule));
      }
      seq++;
    }
    if (keptCount === 0) changes.push({ firstSeq, bytes: undefined });
    else if (droppedCount > 0) changes.push({ firstSeq, bytes: kept.finish() });
  }
  return { blocks: changes, losses: [...losses.values()] };
}

function addLoss(
  loss: Loss | undefined,
  stream: string | null,
  seq: number,
  { topic, payload, arrivedMs }: Message,
  shiftMs: number,
  { whenMs, reason }: EvictionRule,
): Loss {
  return {
    ...{ whenMs, kind: 'evicted', stream, reason },
    firstSeq: loss?.firstSeq ?? seq,
    lastSeq: seq,
    firstMs: loss?.firstMs ?? arrivedMs + shiftMs,
    lastMs: arrivedMs + shiftMs,
    count: (loss?.count ?? 0) + 1,
    bytes: (loss?.bytes ?? 0) + Buffer.byteLength(topic) + payload.length,
  };
}

/** The blocks at the head of `blocks` whose last message arrived before `beforeMs`. */
export function olderBlocks(blocks: readonly StoredBlock[], beforeMs: number): readonly StoredBlock[] {
  const end = blocks.findIndex(({ bytes, arrival }) =>
    [...readBlock(bytes, arrival?.shiftMs)].some(({ arrivedMs }) => arrivedMs >= beforeMs),
  );
  return end === -1 ? blocks : blocks.slice(0, end);
}
