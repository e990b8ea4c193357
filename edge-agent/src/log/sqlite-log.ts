/**
 * The edge log in SQLite, synchronously; runs on the log's thread only. See `edge-log.ts` for what it promises.
 */
import { statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import {
  deadLetterBytesMax,
  deadLetterPayloadBytesMax,
  deadLettersMax,
  recentMessagesMax,
  type DeadLetter,
  type LogRange,
  type LogSizes,
  type LogState,
  type NewBlock,
  type OutboxEntry,
  type StageRequest,
  type StoredBlock,
} from './edge-log.js';
import { asFailures, openLogDatabase, prepareStatements, type LogStatements } from './log-database.js';
import { packBlock, unpackBlock } from './packed-block.js';
import { RecentBlocks } from './recent-blocks.js';

export interface SqliteLogOptions {
  readonly path: string;
  readonly agent: string;
  /** For a database that does not exist yet. */
  readonly newEpoch: string;
}

export class SqliteLog {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #statements: LogStatements;
  readonly #recent = new RecentBlocks();
  #endSeq: number;

  /** @throws Failure `data_dir_in_use`, `data_dir_mismatch`, `log_corrupt`, `disk_full` */
  constructor({ path, agent, newEpoch }: SqliteLogOptions) {
    this.#path = path;
    this.#db = openLogDatabase(path, agent, newEpoch);
    this.#statements = prepareStatements(this.#db);
    for (const block of this.#statements.recentBlocks.all({ count: recentMessagesMax }).reverse())
      this.#recent.add(block as { firstSeq: number; messageCount: number; bytes: number });
    this.#endSeq = this.state().endSeq;
  }

  state(): LogState {
    const { epoch, position, backlog, outbox, lanes, deadLetters } = this.#statements;
    const { next_seq, end_seq } = position.get() as { next_seq: number; end_seq: number };
    return {
      epoch: epoch.pluck().get() as string,
      nextSeq: next_seq,
      endSeq: end_seq,
      backlog: backlog.all() as LogRange[],
      recentSeq: this.#recent.firstSeq ?? end_seq,
      outbox: outbox.all() as OutboxEntry[],
      nextShipmentSeqs: lanes.all() as LogState['nextShipmentSeqs'],
      deadLetterCount: (deadLetters.get() as { count: number }).count,
    };
  }

  append(blocks: readonly NewBlock[]): number[] {
    return asFailures(() => {
      let endSeq = this.#endSeq;
      const rows = blocks.map(({ source, messageCount, bytes }) => {
        const firstSeq = endSeq;
        endSeq += messageCount;
        return { firstSeq, messageCount, source, bytes: packBlock(bytes) };
      });
      this.#db
        .transaction(() => {
          for (const row of rows) this.#statements.insertBlock.run(row);
        })
        .immediate();
      this.#endSeq = endSeq;
      for (const { bytes, ...row } of rows) this.#recent.add({ ...row, bytes: bytes.length });
      return rows.map(({ firstSeq }) => firstSeq);
    });
  }

  read(fromSeq: number, bytesMax: number): StoredBlock[] {
    return asFailures(() => {
      const blocks: StoredBlock[] = [];
      let bytes = 0;
      for (const row of this.#statements.readBlocks.iterate({ fromSeq })) {
        const block = row as StoredBlock;
        const unpacked = unpackBlock(block.bytes);
        blocks.push({ ...block, bytes: unpacked });
        bytes += unpacked.length;
        if (bytes >= bytesMax) break;
      }
      return blocks;
    });
  }

  stage({ shipments, deadLetters, nextSeq, backlog }: StageRequest): {
    entries: OutboxEntry[];
    deadLettersDropped: number;
  } {
    const { insertOutbox, setLane, insertDeadLetter, setPosition } = this.#statements;
    return asFailures(() =>
      this.#db
        .transaction(() => {
          const entries = shipments.map((shipment) => {
            const { lane, database, table, seq } = shipment;
            setLane.run(lane, database, table, seq + 1);
            return { ...shipment, id: Number(insertOutbox.run(shipment).lastInsertRowid) };
          });
          for (const letter of deadLetters) insertDeadLetter.run(boundedLetter(letter));
          setPosition.run({ nextSeq });
          if (backlog) this.#setBacklog(backlog);
          return { entries, deadLettersDropped: this.#dropDeadLetters() };
        })
        .immediate(),
    );
  }

  replace({ id, file, rowCount, bytes }: OutboxEntry): void {
    asFailures(() => this.#statements.replaceOutbox.run({ id, file, rowCount, bytes }));
  }

  confirm(outboxId: number): void {
    const { deleteOutbox, deletableBelow, deleteBlocks } = this.#statements;
    asFailures(() =>
      this.#db
        .transaction(() => {
          deleteOutbox.run(outboxId);
          const recentSeq = this.#recent.firstSeq ?? this.#endSeq;
          deleteBlocks.run({ seq: deletableBelow.pluck().get({ recentSeq }) });
        })
        .immediate(),
    );
  }

  deadLetters(limit: number): DeadLetter[] {
    return this.#statements.readDeadLetters.all(limit) as DeadLetter[];
  }

  sizes(): LogSizes {
    const oldest = this.#statements.oldestBlock.pluck().get() as number | null;
    const bytes = fileBytes(this.#path) + fileBytes(`${this.#path}-wal`);
    return { oldestSeq: oldest ?? this.#endSeq, endSeq: this.#endSeq, bytes };
  }

  close(): void {
    this.#db.close();
  }

  #setBacklog(ranges: readonly LogRange[]): void {
    this.#statements.clearBacklog.run();
    for (const range of ranges) this.#statements.insertBacklog.run(range);
  }

  #dropDeadLetters(): number {
    const { deadLetters, dropOldestDeadLetters } = this.#statements;
    const { count, bytes } = deadLetters.get() as { count: number; bytes: number };
    if (count <= deadLettersMax && bytes <= deadLetterBytesMax) return 0;
    // A tenth at a time, so that a flood does not pay for this with every window.
    const surplus = Math.max(count - deadLettersMax, 0) + Math.ceil(deadLettersMax / 10);
    return dropOldestDeadLetters.run(surplus).changes;
  }
}

function boundedLetter(letter: DeadLetter): DeadLetter {
  if (letter.payload.length <= deadLetterPayloadBytesMax) return letter;
  return {
    ...letter,
    payload: letter.payload.subarray(0, deadLetterPayloadBytesMax),
    reason: `${letter.reason} (payload of ${letter.payload.length} bytes cut to ${deadLetterPayloadBytesMax})`,
  };
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
