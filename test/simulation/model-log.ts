/**
 * The edge log as a model: the same answers as `SqliteLog`, from plain arrays. `model-log.test.ts` holds it to that with
 * random operations, so that what the simulation finds out with it is true of the real one.
 *
 * `LogTables` is what is on the disk. A method is one transaction: it changes the tables as a whole, or, where it throws,
 * not at all. What the object itself holds is lost with the process.
 */
import { strict as assert } from 'node:assert';
import { readBlock } from '@varve/edge-agent/log/block.js';
import {
  recentMessagesMax,
  type DeadLetter,
  type EvictRequest,
  type LogRange,
  type LogSizes,
  type LogState,
  type NewBlock,
  type OutboxEntry,
  type ReplayRequest,
  type Staged,
  type StageRequest,
  type StoredBlock,
} from '@varve/edge-agent/log/edge-log.js';
import { blockOfLetters } from '@varve/edge-agent/log/letter-replay.js';
import { groupBy, lossesOfDeadLetters, lossOfReplayed } from '@varve/edge-agent/log/loss.js';
import type { LedgerRow, Loss, LossFacts } from '@varve/edge-agent/log/loss.js';
import { planDeletable } from '@varve/edge-agent/log/plan-deletable.js';
import { RecentBlocks } from '@varve/edge-agent/log/recent-blocks.js';
import type { StreamChoice } from '@varve/edge-agent/message.js';
import type { LogTables, LossRow } from './log-tables.js';

/** A simulated log stays below the bounds of the ledger (10,000 rows) and of the dead letters. */
const ledgerRowsPerShipment = 1_000;

export class ModelLog {
  readonly tables: LogTables;
  readonly #recent: RecentBlocks;
  #appendedBytes = 0;

  constructor(tables: LogTables, recentBytesMax: number) {
    this.tables = tables;
    this.#recent = new RecentBlocks(recentBytesMax);
    for (const block of tables.blocks.slice(-recentMessagesMax)) this.#recent.add(sizeOf(block));
  }

  state(): LogState {
    const { epoch, nextSeq, backlog, aggregates, reduction, outbox, lanes, deadLetters } = this.tables;
    const endSeq = this.#endSeq;
    return {
      ...{
        epoch,
        nextSeq,
        backlog,
        aggregates,
        reduction,
        endSeq,
        outbox,
        deadLetterCount: deadLetters.length,
      },
      recentSeq: this.recentSeq,
      nextShipmentSeqs: [...lanes.values()],
      waitingLosses: this.#waiting.length,
    };
  }

  /** From here on blocks are kept in any case. */
  get recentSeq(): number {
    return this.#recent.firstSeq ?? this.#endSeq;
  }

  append(blocks: readonly NewBlock[]): number[] {
    return blocks.map((block) => {
      const stored = { ...block, firstSeq: this.#endSeq };
      this.tables.blocks.push(stored);
      this.#recent.add(sizeOf(stored));
      this.#appendedBytes += sizeOf(stored).bytes;
      return stored.firstSeq;
    });
  }

  read(fromSeq: number, bytesMax: number): StoredBlock[] {
    const found: StoredBlock[] = [];
    let bytes = 0;
    for (const block of this.tables.blocks) {
      if (block.firstSeq + block.messageCount <= fromSeq) continue;
      if (found.length > 0 && bytes >= bytesMax) break;
      found.push({ ...block, ...this.#choicesOf(block) });
      bytes += block.bytes.length;
    }
    return found;
  }

  stage(request: StageRequest): Staged {
    const entries = this.takeShipments(request);
    const nextSeq = this.movePosition(request);
    if (entries.length === 0) this.#deleteBlocks(request.keepFromMs);
    return { entries, deadLettersDropped: 0, nextSeq, waitingLosses: this.#waiting.length };
  }

  /** The one half of `stage`. Apart only where a fault is planted. */
  takeShipments({ shipments, deadLetters, lastLossId, nowMs }: StageRequest): OutboxEntry[] {
    const { tables } = this;
    const entries = shipments.map((shipment) => {
      const { lane, database, table, seq } = shipment;
      tables.lanes.set(`${lane}/${database}/${table}`, { lane, database, table, seq: seq + 1 });
      return { ...shipment, clockBoot: 0, id: ++tables.lastOutboxId };
    });
    tables.outbox = [...tables.outbox, ...entries];
    const lossesEntry = entries.at(-1);
    if (lastLossId !== undefined && lossesEntry)
      for (const row of this.#waiting) if (row.id <= lastLossId) row.outboxId = lossesEntry.id;
    tables.deadLetters.push(...deadLetters);
    this.#addLosses(lossesOfDeadLetters(deadLetters, nowMs));
    return entries;
  }

  /** The other half. */
  movePosition({
    nextSeq,
    backlog,
    aggregates,
    reduction,
  }: Pick<StageRequest, 'nextSeq' | 'backlog' | 'aggregates' | 'reduction'>): number {
    if (aggregates) this.tables.aggregates = aggregates;
    if (reduction) this.remember(reduction, nextSeq);
    const moved = this.#moveTo(nextSeq);
    if (backlog) this.tables.backlog = backlog;
    return moved;
  }

  /** Of reducers. Apart only where a fault is planted. */
  remember(changes: NonNullable<StageRequest['reduction']>, nextSeq: number): void {
    let { states } = this.tables.reduction;
    for (const { table, isWhole, bytes } of changes) {
      if (isWhole) states = states.filter((state) => state.table !== table);
      if (bytes) states = [...states, { table, bytes }];
    }
    this.tables.reduction = { nextSeq, states };
  }

  replace({ id, file, rowCount, bytes }: OutboxEntry, losses: readonly Loss[] = []): void {
    this.#addLosses(losses);
    this.tables.outbox = this.tables.outbox.map((entry) =>
      entry.id === id ? { ...entry, file, rowCount, bytes } : entry,
    );
  }

  confirm(outboxId: number, keepFromMs?: number): void {
    const { tables } = this;
    tables.outbox = tables.outbox.filter(({ id }) => id !== outboxId);
    tables.losses = tables.losses.filter((row) => row.outboxId !== outboxId);
    this.#deleteBlocks(keepFromMs);
  }

  releaseKept(messages: number): number {
    let left = messages;
    for (const blocks of this.#unneededBlocks()) {
      const [first] = blocks;
      if (!first || left <= 0) continue;
      const lastSeq = first.firstSeq + left - 1;
      const [last] = this.read(lastSeq, 1);
      const endSeq = Math.min(endOf(blocks), Math.max(lastSeq + 1, last ? endOf([last]) : 0));
      this.#drop(blocks.filter((block) => endOf([block]) <= endSeq));
      left -= endSeq - first.firstSeq;
    }
    return messages - left;
  }

  releaseRecent(): void {
    this.#recent.clear();
    this.#deleteBlocks();
  }

  evict({ blocks, losses }: EvictRequest): void {
    this.dropMessages(blocks);
    this.#addLosses(losses);
  }

  /** The one half of `evict`. Apart only where a fault is planted. */
  dropMessages(changes: EvictRequest['blocks']): void {
    const { tables } = this;
    for (const { firstSeq } of changes)
      assert(
        firstSeq >= tables.nextSeq || tables.backlog.some((range) => isIn(range, firstSeq)),
        'what is in a shipment is not evicted',
      );
    const bytesOf = new Map(changes.map(({ firstSeq, bytes }) => [firstSeq, bytes]));
    const endSeq = this.#endSeq;
    tables.blocks = tables.blocks.flatMap((block) => {
      if (!bytesOf.has(block.firstSeq)) return [block];
      const bytes = bytesOf.get(block.firstSeq);
      return bytes ? [{ ...block, bytes: new Uint8Array(bytes) }] : [];
    });
    tables.endSeq = endSeq;
    this.#moveTo(tables.nextSeq);
  }

  waitingLosses(): LedgerRow[] {
    return this.#waiting.slice(0, ledgerRowsPerShipment).map(toLedgerRow);
  }

  shippedLosses(outboxId: number): LedgerRow[] {
    return this.tables.losses.filter((row) => row.outboxId === outboxId).map(toLedgerRow);
  }

  losses(): LossFacts {
    const totals = [...this.tables.totals.values()].sort((a, b) => (a.kind < b.kind ? -1 : 1));
    return { totals, waitingRows: this.#waiting.length };
  }

  deadLettersFrom(fromSeq: number, endSeq: number, limit: number): DeadLetter[] {
    const letters = this.tables.deadLetters.filter(({ seq }) => seq >= fromSeq && seq < endSeq);
    return letters.toSorted((a, b) => a.seq - b.seq).slice(0, limit);
  }

  replayDeadLetters({ letters, nowMs }: ReplayRequest): Loss[] {
    const { tables } = this;
    const taken = letters.flatMap(({ seq, readBy, left }) => {
      const letter = tables.deadLetters.find((other) => other.seq === seq);
      if (!letter) return [];
      tables.deadLetters = tables.deadLetters.flatMap((other) => {
        if (other !== letter) return [other];
        return left ? [{ ...letter, ...left }] : [];
      });
      if (!tables.notFor.has(seq)) tables.notFor.set(seq, letter.refusedBy);
      return { letter, readBy, left };
    });
    const losses = groupBy(
      taken.flatMap(({ letter, left }) => (left ? [] : letter)),
      ({ stream }) => stream ?? '',
    ).map((all) => lossOfReplayed(all, nowMs));
    for (const all of groupBy(taken, ({ letter }) => letter.source)) {
      const [firstSeq] = this.append([blockOfLetters(all.map(({ letter }) => letter))]);
      for (const [index, { readBy }] of all.entries()) tables.onlyFor.set((firstSeq ?? 0) + index, readBy);
    }
    this.#addLosses(losses);
    return losses;
  }

  deadLetters(limit: number): DeadLetter[] {
    return this.tables.deadLetters.toSorted((a, b) => b.seq - a.seq).slice(0, limit);
  }

  /** Bytes are of blocks alone: the model has no pages. */
  sizes(waitingFromSeq: number): LogSizes {
    const { blocks } = this.tables;
    const usedBytes = blocks.reduce((sum, block) => sum + sizeOf(block).bytes, 0);
    const [waiting] = this.read(waitingFromSeq, 1);
    const [first] = waiting ? readBlock(waiting.bytes) : [];
    return {
      ...{ oldestSeq: blocks[0]?.firstSeq ?? this.#endSeq, endSeq: this.#endSeq },
      ...{ bytes: usedBytes, usedBytes, reusableBytes: 0, appendedBytes: this.#appendedBytes },
      oldestWaitingMs: first?.arrivedMs,
      ...this.#keptFacts(),
    };
  }

  #choicesOf({ firstSeq, messageCount }: StoredBlock): Pick<StoredBlock, 'choices'> {
    const { onlyFor, notFor, deadLetters } = this.tables;
    const choices = new Map<number, StreamChoice>();
    for (let seq = firstSeq; seq < firstSeq + messageCount; seq++) {
      const only = onlyFor.get(seq);
      const refusals = [notFor.get(seq), deadLetters.find((letter) => letter.seq === seq)?.refusedBy];
      const names = refusals.flatMap((all) => all ?? []);
      if (!only && refusals.every((all) => all === undefined)) continue;
      const isForNobody = refusals.some((all) => all?.length === 0);
      choices.set(seq, {
        ...(only && { onlyFor: only }),
        notFor: isForNobody ? 'all' : [...new Set(names)].sort(),
      });
    }
    return choices.size === 0 ? {} : { choices };
  }

  get #endSeq(): number {
    const last = this.tables.blocks.at(-1);
    return Math.max(this.tables.endSeq, last ? last.firstSeq + last.messageCount : 0);
  }

  get #waiting(): LossRow[] {
    return this.tables.losses.filter(({ outboxId }) => outboxId === undefined);
  }

  #addLosses(losses: readonly Loss[]): void {
    const { tables } = this;
    for (const loss of losses) {
      tables.losses.push({ ...loss, id: ++tables.lastLossId, outboxId: undefined });
      const { kind, whenMs: lastMs, reason: lastReason } = loss;
      const before = tables.totals.get(kind);
      const count = (before?.count ?? 0) + loss.count;
      tables.totals.set(kind, { kind, count, bytes: (before?.bytes ?? 0) + loss.bytes, lastMs, lastReason });
    }
  }

  #moveTo(seq: number): number {
    const { tables } = this;
    const [block] = this.read(seq, 1);
    tables.endSeq = this.#endSeq;
    tables.nextSeq = Math.max(seq, block?.firstSeq ?? this.#endSeq);
    return tables.nextSeq;
  }

  #keptFacts() {
    const kept = this.#unneededBlocks().flat();
    const count = (blocks: readonly StoredBlock[]) =>
      blocks.reduce((sum, block) => sum + block.messageCount, 0);
    const keptMessages = count(kept);
    const [first] = kept[0] ? readBlock(kept[0].bytes) : [];
    const keptShare = keptMessages === 0 ? 0 : keptMessages / count(this.tables.blocks);
    return { keptMessages, keptShare, keptSinceMs: first?.arrivedMs };
  }

  /** Of each range those before the first that is to be kept. */
  #deleteBlocks(keepFromMs = Number.POSITIVE_INFINITY): void {
    const isKept = ({ bytes }: StoredBlock) => {
      const [first] = readBlock(bytes);
      return (first?.arrivedMs ?? 0) >= keepFromMs;
    };
    for (const blocks of this.#unneededBlocks()) {
      const firstKept = blocks.findIndex(isKept);
      this.#drop(firstKept === -1 ? blocks : blocks.slice(0, firstKept));
    }
  }

  #drop(blocks: readonly StoredBlock[]): void {
    this.tables.blocks = this.tables.blocks.filter((block) => !blocks.includes(block));
  }

  /** By range, those that lie in it altogether. */
  #unneededBlocks(): StoredBlock[][] {
    const { tables } = this;
    const staged = tables.outbox.map(({ firstLogSeq, lastLogSeq }) => ({
      firstSeq: firstLogSeq,
      endSeq: lastLogSeq + 1,
    }));
    const gaps = planDeletable(
      [...tables.backlog, ...staged, ...tables.aggregates.openRanges],
      Math.min(this.recentSeq, tables.nextSeq),
    );
    return gaps.map((gap) =>
      tables.blocks.filter((block) => block.firstSeq >= gap.firstSeq && endOf([block]) <= gap.endSeq),
    );
  }
}

function endOf(blocks: readonly StoredBlock[]): number {
  const last = blocks.at(-1);
  return last ? last.firstSeq + last.messageCount : 0;
}

function toLedgerRow(row: LossRow): LedgerRow {
  const { id, whenMs, kind, stream, firstSeq, lastSeq, firstMs, lastMs, count, bytes, reason } = row;
  const range = { firstSeq, lastSeq, firstMs, lastMs };
  return { id, timeUs: whenMs * 1_000 + (id % 1_000), whenMs, kind, stream, ...range, count, bytes, reason };
}

function sizeOf({ firstSeq, messageCount, bytes }: StoredBlock) {
  // The byte that says how a block is packed, and its checksum. Small ones are never deflated.
  return { firstSeq, messageCount, bytes: bytes.length + 5 };
}

function isIn({ firstSeq, endSeq }: LogRange, seq: number): boolean {
  return seq >= firstSeq && seq < endSeq;
}
