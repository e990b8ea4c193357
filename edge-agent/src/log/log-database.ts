/**
 * The edge database: its tables, how it is opened, and what its errors mean.
 *
 * WAL with synchronous=FULL: every commit is one fsync of the write-ahead log (sqlite.org/pragma.html#pragma_synchronous).
 * The lock is exclusive: a second agent on the same folder is refused instead of corrupting it, and a killed process
 * leaves no lock behind.
 */
import Database from 'better-sqlite3';
import { firstSeq } from '@varve/common/contract/object-keys.js';
import { Failure, messageOf, systemCodeOf } from '@varve/common/errors.js';
import { fillGaps, gapsSchema } from './gaps.js';
import { requireHeader } from './header.js';
import { markPathOf, readMark } from './high-water.js';
import { ledgerSchema } from './loss-ledger.js';
import { Seal } from './seal.js';

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
    seq INTEGER PRIMARY KEY, source TEXT NOT NULL, stream TEXT, topic TEXT NOT NULL, payload BLOB NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL, arrived_ms INTEGER NOT NULL
  ) STRICT;
  ${ledgerSchema}
`;

/** Came later, and may be missing in a database of version 1. */
const additions = gapsSchema;

/**
 * Opens it, or makes it where there is none.
 * @throws Failure `data_dir_in_use`, `data_dir_mismatch`, `log_corrupt`, `disk_full`, `config_invalid`
 */
export function openLogDatabase(path: string, agent: string, newEpoch: string): Database.Database {
  return asFailures(() => openDatabase(path, agent, newEpoch));
}

/**
 * From Node 24.19 on, better-sqlite3 12 aborts the process when a database, a statement or an iterator of its is garbage
 * collected: freeing one asks for an environment that the collector does not have. So none is: a process opens one database
 * and prepares every statement once. (13.x is mended, and does not run on Node 20.)
 */
const neverFreed: unknown[] = [];

export function keep<T>(object: T): T {
  neverFreed.push(object);
  return object;
}

/** Not `db.pragma`, which leaves a statement behind. Returns the first value of the answer, if there is one. */
function pragma(db: Database.Database, text: string): unknown {
  const statement = keep(db.prepare(`PRAGMA ${text}`));
  return statement.reader ? statement.pluck().get() : statement.run();
}

function openDatabase(path: string, agent: string, newEpoch: string): Database.Database {
  requireHeader(path);
  const db = keep(new Database(path));
  try {
    pragma(db, 'locking_mode = EXCLUSIVE');
    pragma(db, 'journal_mode = WAL');
    pragma(db, 'synchronous = FULL');
    pragma(db, 'temp_store = MEMORY');
    pragma(db, 'cache_size = -4000');
    // After a burst the write-ahead log is cut back to this, so that it does not hold the card's space for ever.
    pragma(db, 'journal_size_limit = 16777216');
    const mark = readMark(markPathOf(path));
    createOrCheck(db, agent, newEpoch, mark?.agent === agent);
    const gaps = keep(db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'gaps'"));
    if (gaps.get() === undefined)
      db.transaction(() => {
        db.exec(additions);
        db.exec(fillGaps);
      }).immediate();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The connection that `openLogDatabase` gave, and whatever else a salvage needs to read with. */
export function prepareOn(db: Database.Database): (text: string) => Database.Statement {
  return (text) => keep(db.prepare(text));
}

function createOrCheck(db: Database.Database, agent: string, newEpoch: string, hasMark: boolean): void {
  const version = pragma(db, 'user_version');
  const texts = keep(db.prepare('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL'))
    .pluck()
    .all() as string[];
  if (version === 0 && texts.length === 0) {
    if (hasMark)
      throw new Failure('log_corrupt', 'the edge database is gone, or empty, and has not always been');
    db.transaction(() => {
      db.exec(schema);
      keep(db.prepare('INSERT INTO meta VALUES (?, ?), (?, ?)')).run('agent', agent, 'epoch', newEpoch);
      pragma(db, `user_version = ${schemaVersion}`);
    }).immediate();
    return;
  }
  if (version !== schemaVersion && isOurs(texts))
    throw new Failure('log_corrupt', `the edge database has all of version 1 and says ${String(version)}`);
  if (version !== schemaVersion)
    throw new Failure(
      'data_dir_mismatch',
      `the edge database has version ${String(version)}, this is for ${schemaVersion}`,
      {
        hint: 'run the newer varve-edge that wrote it',
      },
    );
  const owner = keep(db.prepare("SELECT value FROM meta WHERE key = 'agent'")).pluck().get();
  if (owner !== agent && (typeof owner !== 'string' || new Seal(prepareOn(db)).check() === 'broken'))
    throw new Failure('log_corrupt', 'the edge database does not say whose it is');
  if (owner !== agent)
    throw new Failure(
      'data_dir_mismatch',
      `this data_dir belongs to agent "${owner}", the configuration says "${agent}"`,
      {
        hint: `write agent: ${owner}, or give this agent a data_dir of its own`,
      },
    );
}

/** Whether a database with these tables is of version 1, whatever number it bears. */
function isOurs(texts: readonly string[]): boolean {
  const made = new Set(texts.map(collapse));
  const wanted = schema.split(';').map(collapse);
  return wanted.filter((text) => text.startsWith('CREATE')).every((text) => made.has(text));
}

function collapse(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

const outboxColumns = `id, lane, database, table_name AS "table", seq, file, row_count AS rowCount, bytes,
    first_log_seq AS firstLogSeq, last_log_seq AS lastLogSeq, staged_ms AS stagedMs`;

/** The first message that the store may not have. */
const keepSeqText = 'min(next_seq, coalesce((SELECT min(first_log_seq) FROM outbox), next_seq))';

/** Everything that is asked of the database. */
const statementTexts = {
  epoch: "SELECT value FROM meta WHERE key = 'epoch'",
  position: `
      SELECT next_seq, max(end_seq, next_seq,
        coalesce((SELECT first_seq + message_count FROM blocks ORDER BY first_seq DESC LIMIT 1), ${firstSeq})) AS end_seq
      FROM position`,
  outbox: `SELECT ${outboxColumns} FROM outbox ORDER BY id`,
  lanes: 'SELECT lane, database, table_name AS "table", next_seq AS seq FROM lanes',
  insertBlock: 'INSERT INTO blocks VALUES (@firstSeq, @messageCount, @source, @bytes)',
  recentBlocks: `
      SELECT first_seq AS firstSeq, message_count AS messageCount, length(bytes) AS bytes FROM blocks
      ORDER BY first_seq DESC LIMIT @count`,
  // One at a time: an iterator would be garbage afterwards (see `neverFreed`).
  readBlock: `
      SELECT first_seq AS firstSeq, message_count AS messageCount, source, bytes FROM blocks
      WHERE first_seq >= coalesce((SELECT max(first_seq) FROM blocks WHERE first_seq <= @fromSeq), @fromSeq)
        AND first_seq + message_count > @fromSeq
      ORDER BY first_seq LIMIT 1`,
  insertOutbox: `
      INSERT INTO outbox (lane, database, table_name, seq, file, row_count, bytes, first_log_seq, last_log_seq, staged_ms)
      VALUES (@lane, @database, @table, @seq, @file, @rowCount, @bytes, @firstLogSeq, @lastLogSeq, @stagedMs)`,
  setLane: `
      INSERT INTO lanes VALUES (?, ?, ?, ?)
      ON CONFLICT (lane, database, table_name) DO UPDATE SET next_seq = excluded.next_seq`,
  // One that is there already was counted before: after a salvage, messages may be decoded a second time.
  insertDeadLetter: `
      INSERT INTO dead_letters VALUES (@seq, @source, @stream, @topic, @payload, @code, @reason, @arrivedMs)
      ON CONFLICT (seq) DO NOTHING`,
  // The end is remembered too: when all blocks are gone, numbers must not start again.
  setPosition: 'UPDATE position SET next_seq = @nextSeq, end_seq = max(end_seq, @nextSeq, @endSeq)',
  blockFrom: `
      SELECT first_seq FROM blocks
      WHERE first_seq >= coalesce((SELECT max(first_seq) FROM blocks WHERE first_seq <= @seq), @seq)
        AND first_seq + message_count > @seq
      ORDER BY first_seq LIMIT 1`,
  block: `
      SELECT first_seq AS firstSeq, message_count AS messageCount, source, bytes FROM blocks WHERE first_seq = ?`,
  blockPlace: `
      SELECT first_seq AS firstSeq, message_count AS messageCount, source FROM blocks WHERE first_seq = ?`,
  blockBehind: 'SELECT min(first_seq) FROM blocks WHERE first_seq > ?',
  replaceBlock: 'UPDATE blocks SET bytes = @bytes WHERE first_seq = @firstSeq',
  deleteBlock: 'DELETE FROM blocks WHERE first_seq = ?',
  replaceOutbox: 'UPDATE outbox SET file = @file, row_count = @rowCount, bytes = @bytes WHERE id = @id',
  deleteOutbox: 'DELETE FROM outbox WHERE id = ?',
  // By the primary key, so that a long backlog is not read through for every confirmation.
  deletableBelow: `
      SELECT min(@recentSeq, (SELECT next_seq FROM position),
        coalesce((SELECT min(first_log_seq) FROM outbox), 9007199254740991))`,
  keepSeq: `SELECT ${keepSeqText} FROM position`,
  reached: `
      SELECT (SELECT value FROM meta WHERE key = 'epoch') AS epoch, ${keepSeqText} AS keepSeq, next_seq AS nextSeq,
        (SELECT coalesce(sum(next_seq), 0) FROM lanes) AS shipments
      FROM position`,
  lastBlock: `
      SELECT first_seq AS firstSeq, message_count AS messageCount, source, bytes FROM blocks
      ORDER BY first_seq DESC LIMIT 1`,
  deleteBlocks: 'DELETE FROM blocks WHERE first_seq < @seq AND first_seq + message_count <= @seq',
  deadLetters: 'SELECT count(*) AS count, coalesce(sum(length(payload)), 0) AS bytes FROM dead_letters',
  readDeadLetters: `
      SELECT seq, source, stream, topic, payload, code, reason, arrived_ms AS arrivedMs
      FROM dead_letters ORDER BY seq DESC LIMIT ?`,
  oldestDeadLetters: `
      SELECT @whenMs AS whenMs, 'dead_letters_dropped' AS kind, stream, min(seq) AS firstSeq, max(seq) AS lastSeq,
        min(arrived_ms) AS firstMs, max(arrived_ms) AS lastMs, count(*) AS count,
        sum(octet_length(topic) + length(payload)) AS bytes, 'there were too many dead letters' AS reason
      FROM (SELECT * FROM dead_letters ORDER BY seq LIMIT @count) GROUP BY stream`,
  dropOldestDeadLetters:
    'DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters ORDER BY seq LIMIT ?)',
  oldestBlock: 'SELECT min(first_seq) FROM blocks',
} as const;

export type LogStatements = Readonly<Record<keyof typeof statementTexts, Database.Statement>>;

export function prepareStatements(db: Database.Database): LogStatements {
  const prepared = Object.entries(statementTexts).map(
    ([name, text]) => [name, keep(db.prepare(text))] as const,
  );
  return Object.fromEntries(prepared) as LogStatements;
}

/** SQLite's result codes (sqlite.org/rescode.html) as what the caller can do about them. */
export function asFailures<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    const code = systemCodeOf(cause) ?? '';
    const message = `the edge database: ${messageOf(cause)}`;
    if (/^SQLITE_(BUSY|LOCKED)/.test(code))
      throw new Failure('data_dir_in_use', 'another varve-edge runs on this data_dir', {
        cause,
        hint: 'stop it, or give this agent a data_dir of its own',
      });
    if (code === 'SQLITE_FULL')
      throw new Failure('disk_full', message, { cause, hint: 'free space on the disk of data_dir' });
    // Our statements are right, so what they find wrong is damage: a table that is not there (SQLITE_ERROR), a number given
    // out twice (SQLITE_CONSTRAINT).
    if (/^SQLITE_(CORRUPT|NOTADB|ERROR|CONSTRAINT|FORMAT|SCHEMA|MISMATCH)/.test(code))
      throw new Failure('log_corrupt', message, { cause });
    if (/^SQLITE_(CANTOPEN|READONLY|PERM)/.test(code))
      throw new Failure('config_invalid', message, {
        cause,
        hint: 'check that data_dir exists and may be written',
      });
    if (code.startsWith('SQLITE_IOERR'))
      throw new Failure('disk_full', message, { cause, hint: 'check the disk of data_dir' });
    throw cause;
  }
}
