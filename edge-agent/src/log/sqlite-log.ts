/**
 * The edge log in SQLite, synchronously; runs on the log's thread only. See `edge-log.ts` for what it promises.
 *
 * WAL with synchronous=FULL: every commit is one fsync of the write-ahead log (sqlite.org/pragma.html#pragma_synchronous).
 * The lock is exclusive: a second agent on the same folder is refused instead of corrupting it, and a killed process
 * leaves no lock behind.
 */
import { statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { Failure, messageOf, systemCodeOf } from '@varve/common/errors.js';
import { firstSeq } from '@varve/common/contract/object-keys.js';
import {
  deadLetterBytesMax,
  deadLetterPayloadBytesMax,
  deadLettersMax,
  recentMessagesMax,
  type DeadLetter,
  type LogSizes,
  type LogState,
  type NewBlock,
  type OutboxEntry,
  type StageRequest,
  type StoredBlock,
} from './edge-log.js';
import { packBlock, unpackBlock } from './packed-block.js';
import { RecentBlocks } from './recent-blocks.js';

const schemaVersion = 1;

/** Version 1, for ever readable. Numbers of messages count from 1. */
const schema = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;
  CREATE TABLE blocks (
    first_seq INTEGER PRIMARY KEY,
    message_count INTEGER NOT NULL,
    source TEXT NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT;
  CREATE TABLE position (id INTEGER PRIMARY KEY CHECK (id = 1), next_seq INTEGER NOT NULL, end_seq INTEGER NOT NULL) STRICT;
  INSERT INTO position VALUES (1, 1, 1);
  CREATE TABLE lanes (
    lane TEXT NOT NULL, database TEXT NOT NULL, table_name TEXT NOT NULL,
    next_seq INTEGER NOT NULL,
    PRIMARY KEY (lane, database, table_name)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL, database TEXT NOT NULL, table_name TEXT NOT NULL, seq INTEGER NOT NULL,
    file TEXT NOT NULL, row_count INTEGER NOT NULL, bytes INTEGER NOT NULL,
    first_log_seq INTEGER NOT NULL, last_log_seq INTEGER NOT NULL, staged_ms INTEGER NOT NULL,
    UNIQUE (lane, database, table_name, seq)
  ) STRICT;
  CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY, source TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL, arrived_ms INTEGER NOT NULL
  ) STRICT;
`;

export interface SqliteLogOptions {
  readonly path: string;
  readonly agent: string;
  /** For a database that does not exist yet. */
  readonly newEpoch: string;
}

export class SqliteLog {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #recent = new RecentBlocks();
  #endSeq: number;

  /** @throws Failure `data_dir_in_use`, `data_dir_mismatch`, `log_corrupt`, `disk_full` */
  constructor({ path, agent, newEpoch }: SqliteLogOptions) {
    this.#path = path;
    this.#db = asFailures(() => openDatabase(path, agent, newEpoch));
    this.#statements = prepareStatements(this.#db);
    for (const block of this.#statements.recentBlocks.all({ count: recentMessagesMax }).reverse())
      this.#recent.add(block as { firstSeq: number; messageCount: number; bytes: number });
    this.#endSeq = this.state().endSeq;
  }

  state(): LogState {
    const { epoch, position, outbox, lanes, deadLetters } = this.#statements;
    const { next_seq, end_seq } = position.get() as { next_seq: number; end_seq: number };
    return {
      epoch: epoch.pluck().get() as string,
      nextSeq: next_seq,
      endSeq: end_seq,
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

  stage({ shipments, deadLetters, nextSeq }: StageRequest): {
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
          return { entries, deadLettersDropped: this.#dropDeadLetters() };
        })
        .immediate(),
    );
  }

  confirm(outboxId: number): void {
    const { deleteOutbox, deleteBlocks } = this.#statements;
    asFailures(() =>
      this.#db
        .transaction(() => {
          deleteOutbox.run(outboxId);
          deleteBlocks.run({ recentSeq: this.#recent.firstSeq ?? this.#endSeq });
        })
        .immediate(),
    );
  }

  deadLetters(limit: number): DeadLetter[] {
    return this.#statements.readDeadLetters.all(limit) as DeadLetter[];
  }

  sizes(): LogSizes {
    const { blocks, oldest } = this.#statements.blockSizes.get() as { blocks: number; oldest: number | null };
    const bytes = fileBytes(this.#path) + fileBytes(`${this.#path}-wal`);
    return { blocks, oldestSeq: oldest ?? this.#endSeq, endSeq: this.#endSeq, bytes };
  }

  close(): void {
    this.#db.close();
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

function openDatabase(path: string, agent: string, newEpoch: string): Database.Database {
  const db = new Database(path);
  try {
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('temp_store = MEMORY');
    db.pragma('cache_size = -4000');
    // After a burst the write-ahead log is cut back to this, so that it does not hold the card's space for ever.
    db.pragma('journal_size_limit = 16777216');
    createOrCheck(db, agent, newEpoch);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function createOrCheck(db: Database.Database, agent: string, newEpoch: string): void {
  const version = db.pragma('user_version', { simple: true });
  if (version === 0) {
    db.transaction(() => {
      db.exec(schema);
      db.prepare('INSERT INTO meta VALUES (?, ?), (?, ?)').run('agent', agent, 'epoch', newEpoch);
      db.pragma(`user_version = ${schemaVersion}`);
    }).immediate();
    return;
  }
  if (version !== schemaVersion)
    throw new Failure(
      'data_dir_mismatch',
      `the edge database has version ${String(version)}, this is for ${schemaVersion}`,
      {
        hint: 'run the newer varve-edge that wrote it',
      },
    );
  const owner = db.prepare("SELECT value FROM meta WHERE key = 'agent'").pluck().get() as string;
  if (owner !== agent)
    throw new Failure(
      'data_dir_mismatch',
      `this data_dir belongs to agent "${owner}", the configuration says "${agent}"`,
      {
        hint: `write agent: ${owner}, or give this agent a data_dir of its own`,
      },
    );
}

function prepareStatements(db: Database.Database) {
  const outboxColumns = `id, lane, database, table_name AS "table", seq, file, row_count AS rowCount, bytes,
    first_log_seq AS firstLogSeq, last_log_seq AS lastLogSeq, staged_ms AS stagedMs`;
  return {
    epoch: db.prepare("SELECT value FROM meta WHERE key = 'epoch'"),
    position: db.prepare(`
      SELECT next_seq, max(end_seq, next_seq,
        coalesce((SELECT first_seq + message_count FROM blocks ORDER BY first_seq DESC LIMIT 1), ${firstSeq})) AS end_seq
      FROM position`),
    outbox: db.prepare(`SELECT ${outboxColumns} FROM outbox ORDER BY id`),
    lanes: db.prepare('SELECT lane, database, table_name AS "table", next_seq AS seq FROM lanes'),
    insertBlock: db.prepare('INSERT INTO blocks VALUES (@firstSeq, @messageCount, @source, @bytes)'),
    recentBlocks: db.prepare(`
      SELECT first_seq AS firstSeq, message_count AS messageCount, length(bytes) AS bytes FROM blocks
      ORDER BY first_seq DESC LIMIT @count`),
    readBlocks: db.prepare(`
      SELECT first_seq AS firstSeq, message_count AS messageCount, source, bytes FROM blocks
      WHERE first_seq >= coalesce((SELECT max(first_seq) FROM blocks WHERE first_seq <= @fromSeq), @fromSeq)
        AND first_seq + message_count > @fromSeq
      ORDER BY first_seq`),
    insertOutbox: db.prepare(`
      INSERT INTO outbox (lane, database, table_name, seq, file, row_count, bytes, first_log_seq, last_log_seq, staged_ms)
      VALUES (@lane, @database, @table, @seq, @file, @rowCount, @bytes, @firstLogSeq, @lastLogSeq, @stagedMs)`),
    setLane: db.prepare(`
      INSERT INTO lanes VALUES (?, ?, ?, ?)
      ON CONFLICT (lane, database, table_name) DO UPDATE SET next_seq = excluded.next_seq`),
    insertDeadLetter: db.prepare(`
      INSERT INTO dead_letters VALUES (@seq, @source, @topic, @payload, @code, @reason, @arrivedMs)`),
    // The end is remembered too: when all blocks are gone, numbers must not start again.
    setPosition: db.prepare('UPDATE position SET next_seq = @nextSeq, end_seq = max(end_seq, @nextSeq)'),
    deleteOutbox: db.prepare('DELETE FROM outbox WHERE id = ?'),
    deleteBlocks: db.prepare(`
      DELETE FROM blocks WHERE first_seq + message_count <= min(
        @recentSeq, (SELECT next_seq FROM position), coalesce((SELECT min(first_log_seq) FROM outbox), 9007199254740991))`),
    deadLetters: db.prepare(
      'SELECT count(*) AS count, coalesce(sum(length(payload)), 0) AS bytes FROM dead_letters',
    ),
    readDeadLetters: db.prepare(`
      SELECT seq, source, topic, payload, code, reason, arrived_ms AS arrivedMs
      FROM dead_letters ORDER BY seq DESC LIMIT ?`),
    dropOldestDeadLetters: db.prepare(
      'DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters ORDER BY seq LIMIT ?)',
    ),
    blockSizes: db.prepare('SELECT count(*) AS blocks, min(first_seq) AS oldest FROM blocks'),
  };
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

/** SQLite's result codes (sqlite.org/rescode.html) as what the caller can do about them. */
function asFailures<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    const code = systemCodeOf(cause) ?? '';
    const message = `the edge database: ${messageOf(cause)}`;
    if (code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED')
      throw new Failure('data_dir_in_use', 'another varve-edge runs on this data_dir', {
        cause,
        hint: 'stop it, or give this agent a data_dir of its own',
      });
    if (code === 'SQLITE_FULL')
      throw new Failure('disk_full', message, { cause, hint: 'free space on the disk of data_dir' });
    if (code === 'SQLITE_CORRUPT' || code === 'SQLITE_NOTADB')
      throw new Failure('log_corrupt', message, { cause });
    if (code === 'SQLITE_CANTOPEN' || code === 'SQLITE_READONLY' || code === 'SQLITE_PERM')
      throw new Failure('config_invalid', message, {
        cause,
        hint: 'check that data_dir exists and may be written',
      });
    if (code.startsWith('SQLITE_IOERR'))
      throw new Failure('disk_full', message, { cause, hint: 'check the disk of data_dir' });
    throw cause;
  }
}
