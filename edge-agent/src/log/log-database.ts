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
import { fillGaps } from './gaps.js';
import { requireHeader } from './header.js';
import { markPathOf, readMark } from './high-water.js';
import { migrations } from './log-schema.js';
import { Seal } from './seal.js';

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
    pragma(db, 'cache_size = -1000');
    // After a burst the write-ahead log is cut back to this, so that it does not hold the card's space for ever.
    pragma(db, 'journal_size_limit = 16777216');
    const mark = readMark(markPathOf(path));
    createOrCheck(db, agent, newEpoch, mark?.agent === agent);
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
  const version = pragma(db, 'user_version') as number;
  const tables = keep(db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")).pluck().all();
  if (version === 0 && tables.length === 0) {
    if (hasMark)
      throw new Failure('log_corrupt', 'the edge database is gone, or empty, and has not always been');
    create(db, agent, newEpoch);
    return;
  }
  if (version !== migrations.length && lacksNothing(tables))
    throw new Failure(
      'log_corrupt',
      `the edge database has all of version ${migrations.length} and says ${version}`,
    );
  if (version < 1 || version > migrations.length)
    throw new Failure(
      'data_dir_mismatch',
      `the edge database has version ${version}, this is for ${migrations.length}`,
      {
        hint: 'run the newer varve-edge that wrote it',
      },
    );
  if (version < migrations.length) migrate(db, version);
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

function create(db: Database.Database, agent: string, newEpoch: string): void {
  db.transaction(() => {
    for (const migration of migrations) db.exec(migration);
    keep(db.prepare('INSERT INTO meta VALUES (?, ?), (?, ?)')).run('agent', agent, 'epoch', newEpoch);
    pragma(db, `user_version = ${migrations.length}`);
  }).immediate();
}

function migrate(db: Database.Database, version: number): void {
  db.transaction(() => {
    for (const migration of migrations.slice(version)) db.exec(migration);
    if (version < gapsSince) db.exec(fillGaps);
    pragma(db, `user_version = ${migrations.length}`);
  }).immediate();
}

/** Before, what was missing could not be told from what was evicted. */
const gapsSince = 2;

/** Whether a database with these tables is of the newest version, whatever number it bears. */
function lacksNothing(tables: readonly unknown[]): boolean {
  const named = migrations.flatMap((text) => [...text.matchAll(/CREATE TABLE (\w+)/g)]);
  return named.every(([, name]) => tables.includes(name));
}

const outboxColumns = `id, lane, database, table_name AS "table", seq, file, row_count AS rowCount, bytes,
    first_log_seq AS firstLogSeq, last_log_seq AS lastLogSeq, staged_ms AS stagedMs, clock_boot AS clockBoot, recipe`;

const letterColumns = `seq, source, stream, topic, payload, code, reason, arrived_ms AS arrivedMs, refused_by AS refusedBy`;

/** The first message that the store may not have. */
const keepSeqText = `min(next_seq, coalesce((SELECT min(first_log_seq) FROM outbox), next_seq),
    coalesce((SELECT min(first_seq) FROM backlog), next_seq))`;

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
  reductions: 'SELECT table_key AS "table", bytes FROM reductions ORDER BY id',
  reducedSeq: 'SELECT reduced_seq FROM position',
  setReducedSeq: 'UPDATE position SET reduced_seq = ?',
  addReduction: 'INSERT INTO reductions (table_key, bytes) VALUES (?, ?)',
  clearReductions: 'DELETE FROM reductions WHERE table_key = ?',
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
      INSERT INTO outbox (lane, database, table_name, seq, file, row_count, bytes, first_log_seq, last_log_seq, staged_ms,
        clock_boot, recipe)
      VALUES (@lane, @database, @table, @seq, @file, @rowCount, @bytes, @firstLogSeq, @lastLogSeq, @stagedMs, @clockBoot, @recipe)`,
  setLane: `
      INSERT INTO lanes VALUES (?, ?, ?, ?)
      ON CONFLICT (lane, database, table_name) DO UPDATE SET next_seq = excluded.next_seq`,
  // One that is there already was counted before: after a salvage, messages may be decoded a second time.
  insertDeadLetter: `
      INSERT INTO dead_letters (seq, source, stream, topic, payload, code, reason, arrived_ms, refused_by)
      VALUES (@seq, @source, @stream, @topic, @payload, @code, @reason, @arrivedMs, @refusedBy)
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
  blockBefore: `
      SELECT first_seq AS firstSeq, message_count AS messageCount, source FROM blocks
      WHERE first_seq < ? ORDER BY first_seq DESC LIMIT 1`,
  blockBehind: 'SELECT min(first_seq) FROM blocks WHERE first_seq > ?',
  replaceBlock: 'UPDATE blocks SET bytes = @bytes WHERE first_seq = @firstSeq',
  deleteBlock: 'DELETE FROM blocks WHERE first_seq = ?',
  replaceOutbox: 'UPDATE outbox SET file = @file, row_count = @rowCount, bytes = @bytes WHERE id = @id',
  deleteOutbox: 'DELETE FROM outbox WHERE id = ?',
  stagedRanges: 'SELECT DISTINCT first_log_seq AS firstSeq, last_log_seq + 1 AS endSeq FROM outbox',
  // By the primary key, so that a long backlog is not read through for every confirmation.
  keepSeq: `SELECT ${keepSeqText} FROM position`,
  reached: `
      SELECT (SELECT value FROM meta WHERE key = 'epoch') AS epoch, ${keepSeqText} AS keepSeq, next_seq AS nextSeq,
        (SELECT coalesce(sum(next_seq), 0) FROM lanes) AS shipments
      FROM position`,
  lastBlock: `
      SELECT first_seq AS firstSeq, message_count AS messageCount, source, bytes FROM blocks
      ORDER BY first_seq DESC LIMIT 1`,
  deleteBlocks:
    'DELETE FROM blocks WHERE first_seq >= @firstSeq AND first_seq < @endSeq AND first_seq + message_count <= @endSeq',
  deadLetters: 'SELECT count(*) AS count, coalesce(sum(length(payload)), 0) AS bytes FROM dead_letters',
  readDeadLetters: `SELECT ${letterColumns} FROM dead_letters ORDER BY seq DESC LIMIT ?`,
  deadLettersFrom: `
      SELECT ${letterColumns} FROM dead_letters WHERE seq >= @fromSeq AND seq < @endSeq ORDER BY seq LIMIT @limit`,
  deadLetter: `SELECT ${letterColumns} FROM dead_letters WHERE seq = ?`,
  deleteDeadLetter: 'DELETE FROM dead_letters WHERE seq = ?',
  changeDeadLetter: `
      UPDATE dead_letters SET stream = @stream, code = @code, reason = @reason, refused_by = @refusedBy WHERE seq = @seq`,
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
  readMeta: 'SELECT value FROM meta WHERE key = ?',
  writeMeta: 'INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
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
