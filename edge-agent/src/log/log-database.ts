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
import { migrations } from './log-schema.js';

/** @throws Failure `data_dir_in_use`, `data_dir_mismatch`, `log_corrupt`, `disk_full`, `config_invalid` */
export function openLogDatabase(path: string, agent: string, newEpoch: string): Database.Database {
  return asFailures(() => openDatabase(path, agent, newEpoch));
}

/**
 * From Node 24.19 on, better-sqlite3 12 aborts the process when a database, a statement or an iterator of its is garbage
 * collected: freeing one asks for an environment that the collector does not have. So none is: a process opens one database
 * and prepares every statement once. (13.x is mended, and does not run on Node 20.)
 */
const neverFreed: unknown[] = [];

function keep<T>(object: T): T {
  neverFreed.push(object);
  return object;
}

/** Not `db.pragma`, which leaves a statement behind. Returns the first value of the answer, if there is one. */
function pragma(db: Database.Database, text: string): unknown {
  const statement = keep(db.prepare(`PRAGMA ${text}`));
  return statement.reader ? statement.pluck().get() : statement.run();
}

function openDatabase(path: string, agent: string, newEpoch: string): Database.Database {
  const db = keep(new Database(path));
  try {
    pragma(db, 'locking_mode = EXCLUSIVE');
    pragma(db, 'journal_mode = WAL');
    pragma(db, 'synchronous = FULL');
    pragma(db, 'temp_store = MEMORY');
    pragma(db, 'cache_size = -4000');
    // After a burst the write-ahead log is cut back to this, so that it does not hold the card's space for ever.
    pragma(db, 'journal_size_limit = 16777216');
    createOrCheck(db, agent, newEpoch);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function createOrCheck(db: Database.Database, agent: string, newEpoch: string): void {
  const version = pragma(db, 'user_version') as number;
  if (version > migrations.length)
    throw new Failure(
      'data_dir_mismatch',
      `the edge database has version ${version}, this is for ${migrations.length}`,
      {
        hint: 'run the newer varve-edge that wrote it',
      },
    );
  if (version < migrations.length)
    db.transaction(() => {
      for (const migration of migrations.slice(version)) db.exec(migration);
      if (version === 0)
        keep(db.prepare('INSERT INTO meta VALUES (?, ?), (?, ?)')).run('agent', agent, 'epoch', newEpoch);
      pragma(db, `user_version = ${migrations.length}`);
    }).immediate();
  const owner = keep(db.prepare("SELECT value FROM meta WHERE key = 'agent'")).pluck().get() as string;
  if (owner !== agent)
    throw new Failure(
      'data_dir_mismatch',
      `this data_dir belongs to agent "${owner}", the configuration says "${agent}"`,
      {
        hint: `write agent: ${owner}, or give this agent a data_dir of its own`,
      },
    );
}

const outboxColumns = `id, lane, database, table_name AS "table", seq, file, row_count AS rowCount, bytes,
    first_log_seq AS firstLogSeq, last_log_seq AS lastLogSeq, staged_ms AS stagedMs`;

/** Everything that is asked of the database. */
const statementTexts = {
  epoch: "SELECT value FROM meta WHERE key = 'epoch'",
  position: `
      SELECT next_seq, max(end_seq, next_seq,
        coalesce((SELECT first_seq + message_count FROM blocks ORDER BY first_seq DESC LIMIT 1), ${firstSeq})) AS end_seq
      FROM position`,
  backlog: 'SELECT first_seq AS firstSeq, end_seq AS endSeq FROM backlog ORDER BY first_seq',
  clearBacklog: 'DELETE FROM backlog',
  insertBacklog: 'INSERT INTO backlog VALUES (@firstSeq, @endSeq)',
  closedMs: 'SELECT table_key AS key, closed_ms AS closedMs FROM aggregates',
  setClosedMs: `
      INSERT INTO aggregates VALUES (@key, @closedMs)
      ON CONFLICT (table_key) DO UPDATE SET closed_ms = excluded.closed_ms`,
  openRanges: 'SELECT first_seq AS firstSeq, end_seq AS endSeq FROM open_ranges ORDER BY first_seq',
  clearOpenRanges: 'DELETE FROM open_ranges',
  insertOpenRange: 'INSERT INTO open_ranges VALUES (@firstSeq, @endSeq)',
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
  insertDeadLetter: `
      INSERT INTO dead_letters (seq, source, stream, topic, payload, code, reason, arrived_ms)
      VALUES (@seq, @source, @stream, @topic, @payload, @code, @reason, @arrivedMs)`,
  // The end is remembered too: when all blocks are gone, numbers must not start again.
  setPosition: 'UPDATE position SET next_seq = @nextSeq, end_seq = max(end_seq, @nextSeq, @endSeq)',
  blockFrom: `
      SELECT first_seq FROM blocks
      WHERE first_seq >= coalesce((SELECT max(first_seq) FROM blocks WHERE first_seq <= @seq), @seq)
        AND first_seq + message_count > @seq
      ORDER BY first_seq LIMIT 1`,
  blockBytes: 'SELECT bytes FROM blocks WHERE first_seq = ?',
  replaceBlock: 'UPDATE blocks SET bytes = @bytes WHERE first_seq = @firstSeq',
  deleteBlock: 'DELETE FROM blocks WHERE first_seq = ?',
  replaceOutbox: 'UPDATE outbox SET file = @file, row_count = @rowCount, bytes = @bytes WHERE id = @id',
  deleteOutbox: 'DELETE FROM outbox WHERE id = ?',
  stagedRanges: 'SELECT DISTINCT first_log_seq AS firstSeq, last_log_seq + 1 AS endSeq FROM outbox',
  backlogAt: 'SELECT 1 FROM backlog WHERE first_seq <= @seq AND end_seq > @seq',
  // By the primary key, so that a long backlog is not read through for every confirmation.
  deleteBlocks:
    'DELETE FROM blocks WHERE first_seq >= @firstSeq AND first_seq < @endSeq AND first_seq + message_count <= @endSeq',
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
  pageSize: 'PRAGMA page_size',
  pageCount: 'PRAGMA page_count',
  freePages: 'PRAGMA freelist_count',
} as const;

export type Statements<Name extends string> = Readonly<Record<Name, Database.Statement>>;
export type LogStatements = Statements<keyof typeof statementTexts>;

export function prepareLogStatements(db: Database.Database): LogStatements {
  return prepareStatements(db, statementTexts);
}

/** Once for each database: they are never freed. */
export function prepareStatements<Name extends string>(
  db: Database.Database,
  texts: Readonly<Record<Name, string>>,
): Statements<Name> {
  const prepared = Object.entries<string>(texts).map(
    ([name, text]) => [name, keep(db.prepare(text))] as const,
  );
  return Object.fromEntries(prepared) as Statements<Name>;
}

/** SQLite's result codes (sqlite.org/rescode.html) as what the caller can do about them. */
export function asFailures<T>(work: () => T): T {
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
