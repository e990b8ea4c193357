/** What SQLite can still read of a damaged edge database: whole tables where it can, else row by row from both ends. */
import { closeSync, fsyncSync, openSync, statSync, writeSync } from 'node:fs';
import Database from 'better-sqlite3';
import { Failure, isFailure } from '@varve/common/errors.js';
import { requireHeader } from './header.js';
import { asFailures, keep, prepareLogStatements } from './log-database.js';
import { LossLedger } from './loss-ledger.js';
import { Seal } from './seal.js';

export type Row = Readonly<Record<string, unknown>>;

export interface TableRows {
  readonly rows: readonly Row[];
  readonly isWhole: boolean;
}

const soundHeader = Buffer.from('SQLite format 3\0\x10\0\x02\x02\0\x40\x20\x20', 'latin1');

export class DamagedDatabase {
  readonly #db: Database.Database;

  private constructor(db: Database.Database) {
    this.#db = db;
  }

  /** Undefined where nothing can be read. @throws Failure `data_dir_in_use` */
  static open(path: string): DamagedDatabase | undefined {
    try {
      mendHeader(path);
      const db = asFailures(() => keep(new Database(path, { fileMustExist: true })));
      const opened = new DamagedDatabase(db);
      try {
        asFailures(() => {
          for (const text of ['locking_mode = EXCLUSIVE', 'journal_mode = WAL', 'cache_size = -4000']) {
            const statement = opened.#prepare(`PRAGMA ${text}`);
            if (statement.reader) statement.all();
            else statement.run();
          }
          // Takes the lock, which a running agent has.
          db.exec('BEGIN IMMEDIATE; ROLLBACK');
          // Where a name in the schema has changed, nothing would stand in its column.
          prepareLogStatements(db);
          keep(new LossLedger(db));
        });
        return opened;
      } catch (error) {
        opened.close();
        throw error;
      }
    } catch (error) {
      if (isFailure(error, 'data_dir_in_use')) throw error;
      return undefined;
    }
  }

  /** Position, lanes, outbox and epoch are what was written. */
  isSealed(): boolean {
    return this.seal() === 'whole';
  }

  /** Undefined where it cannot be read. */
  seal(): 'whole' | 'broken' | 'missing' | undefined {
    return this.#try(() => new Seal((text) => this.#prepare(text)).check());
  }

  /** What SQLite says of its pages (sqlite.org/pragma.html#pragma_quick_check); nothing where all is well. */
  integrity(): string[] {
    const answers = this.#try(() => this.#prepare('PRAGMA quick_check(20)').pluck().all() as string[]);
    return (answers ?? ['the pages cannot be read']).filter((answer) => answer !== 'ok');
  }

  /** In order of `key`, which is unique. */
  readTable(table: string, key: string): TableRows {
    const all = this.#try(() => this.#prepare(`SELECT * FROM ${table} ORDER BY ${key}`).all() as Row[]);
    if (all) return { rows: all, isWhole: true };
    const up = this.#walk(`SELECT * FROM ${table} WHERE ${key} > ? ORDER BY ${key} LIMIT 1`, key, smallest);
    const below = up.at(-1)?.[key];
    const down = this.#walk(
      `SELECT * FROM ${table} WHERE ${key} < ? ORDER BY ${key} DESC LIMIT 1`,
      key,
      Number.MAX_SAFE_INTEGER,
      typeof below === 'number' ? below : smallest,
    );
    return { rows: [...up, ...down.reverse()], isWhole: false };
  }

  /** All rows of a small table without a numeric key; undefined where one of them cannot be read. */
  readSmall(table: string): readonly Row[] | undefined {
    return this.#try(() => this.#prepare(`SELECT * FROM ${table}`).all() as Row[]);
  }

  /** A reader of one row by number, prepared once. */
  rowReader(text: string): (key: number) => Row | undefined | 'unreadable' {
    const statement = this.#try(() => this.#prepare(text));
    return (key) => (statement ? this.#tryRow(statement, key) : 'unreadable');
  }

  close(): void {
    try {
      this.#db.close();
    } catch {
      // It could not write its log back; it is set aside as it is.
    }
  }

  #tryRow(statement: Database.Statement, key: number): Row | undefined | 'unreadable' {
    try {
      return statement.get(key) as Row | undefined;
    } catch {
      return 'unreadable';
    }
  }

  /** Stops at what cannot be read, and where keys are not in order. */
  #walk(text: string, key: string, from: number, until?: number): Row[] {
    const rows: Row[] = [];
    const statement = this.#try(() => this.#prepare(text));
    let at = from;
    while (statement) {
      const row = this.#tryRow(statement, at);
      if (row === undefined || row === 'unreadable') break;
      const next = row[key];
      if (typeof next !== 'number' || next === at || next > at !== (until === undefined)) break;
      if (until !== undefined && next <= until) break;
      rows.push(row);
      at = next;
    }
    return rows;
  }

  #prepare(text: string): Database.Statement {
    return keep(this.#db.prepare(text));
  }

  #try<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch {
      return undefined;
    }
  }
}

const smallest = -1;

/** The bytes that are the same in every edge database. An empty file is let alone: SQLite would drop its write-ahead log. */
function mendHeader(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < 512)
    throw new Failure('log_corrupt', `${path} is empty`);
  try {
    requireHeader(path);
  } catch {
    const file = openSync(path, 'r+');
    try {
      writeSync(file, soundHeader, 0, soundHeader.length, 0);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
}
