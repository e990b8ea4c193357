/** The new database of a salvage, while it is filled. */
import type Database from 'better-sqlite3';
import type { DamagedDatabase, Row } from './damaged-database.js';
import type { FoundBlock } from './plan-salvage.js';
import { readBlockClock } from './block.js';
import { Gaps, type SeqRange } from './gaps.js';
import { asFailures, prepareOn } from './log-database.js';
import { isWholeLoss, type Loss } from './loss.js';
import { LossLedger } from './loss-ledger.js';
import { Seal } from './seal.js';
import { readNames } from './stream-choices.js';
import { arrivalsOf, openBlock, type PackedRow } from './stored-block.js';

/** Of blocks in one transaction: what the write-ahead log holds until it is written back. */
const transactionBytes = 4_000_000;

export class SalvagedDatabase {
  readonly #db: Database.Database;
  readonly #prepare: (text: string) => Database.Statement;
  /** That a block names. */
  #newestBoot = 0;

  /** @param db new and empty */
  constructor(db: Database.Database) {
    this.#db = db;
    this.#prepare = prepareOn(db);
  }

  /** Returns where each lies. */
  addBlocks(rows: Iterable<PackedRow>): FoundBlock[] {
    const insert = this.#prepare('INSERT INTO blocks VALUES (@firstSeq, @messageCount, @source, @bytes)');
    const found: FoundBlock[] = [];
    let bytes = 0;
    asFailures(() => {
      this.#db.exec('BEGIN');
      for (const row of rows) {
        const { firstSeq, messageCount, source } = row;
        insert.run({ firstSeq, messageCount, source, bytes: row.bytes });
        this.#newestBoot = Math.max(this.#newestBoot, readBlockClock(openBlock(row)).boot);
        const { firstMs = null, lastMs = null } = arrivalsOf(row) ?? {};
        found.push({ firstSeq, endSeq: firstSeq + messageCount, firstMs, lastMs });
        bytes += row.bytes.length;
        if (bytes < transactionBytes) continue;
        bytes = 0;
        this.#db.exec('COMMIT; BEGIN');
      }
      this.#db.exec('COMMIT');
    });
    return found;
  }

  /** Rows of the ledger, its totals and the dead letters. False where some could not be read. */
  addLedger(old: DamagedDatabase | undefined, isNewEpoch: boolean): boolean {
    if (!old) return false;
    const losses = old.readTable('losses', 'id');
    const letters = old.readTable('dead_letters', 'seq');
    const choices = old.readTable('stream_choices', 'seq');
    const totals = old.readSmall('loss_totals');
    const sequences = old.readSmall('sqlite_sequence');
    const wholeLosses = losses.rows.filter(isWholeRow);
    const wholeLetters = letters.rows.filter(isWholeLetter);
    const wholeTotals = (totals ?? []).filter(isWholeTotal);
    this.#transact(() => {
      // In a new epoch no shipment has them any more: they go again, with the same time, and replace themselves.
      for (const row of wholeLosses) this.#insert('losses', isNewEpoch ? { ...row, outbox_id: null } : row);
      for (const row of wholeLetters) this.#insert('dead_letters', { ...row, refused_by: refusedByOf(row) });
      for (const row of choices.rows.filter(isWholeChoice)) this.#insert('stream_choices', row);
      for (const row of wholeTotals) this.#insert('loss_totals', row);
      for (const { name, seq } of sequences ?? [])
        if (typeof name === 'string' && Number.isSafeInteger(seq)) this.#raiseSequence(name, seq as number);
    });
    return (
      losses.isWhole &&
      letters.isWhole &&
      choices.isWhole &&
      choices.rows.every(isWholeChoice) &&
      totals !== undefined &&
      wholeLosses.length === losses.rows.length &&
      wholeLetters.length === letters.rows.length &&
      wholeTotals.length === totals.length
    );
  }

  addLosses(losses: readonly Loss[]): void {
    const ledger = new LossLedger(this.#db);
    this.#transact(() => ledger.add(losses));
  }

  setPosition({
    nextSeq,
    endSeq,
    gaps,
  }: {
    nextSeq: number;
    endSeq: number;
    gaps: readonly SeqRange[];
  }): void {
    const known = new Gaps(this.#prepare);
    this.#transact(() => {
      this.#prepare('UPDATE position SET next_seq = ?, end_seq = ?').run(nextSeq, endSeq);
      for (const gap of gaps) known.add(gap);
    });
  }

  /**
   * The clocks of boots, which blocks name by number. Where they cannot be read, a boot to come must not get such a number: its
   * clock would be taken for theirs.
   */
  addBoots(old: DamagedDatabase | undefined): void {
    const rows = old?.readSmall('boots')?.filter(isWholeBoot) ?? [];
    const [position] = old?.readSmall('position') ?? [];
    const trustedMs = position?.['trusted_ms'];
    const newest = Math.max(0, ...rows.map((row) => Number(row['boot'])));
    this.#transact(() => {
      for (const row of rows) this.#insert('boots', row);
      if (this.#newestBoot > newest)
        this.#insert('boots', { boot: this.#newestBoot, id: 'unreadable', first_seq: 0, offset_ms: null });
      if (Number.isSafeInteger(trustedMs)) this.#prepare('UPDATE position SET trusted_ms = ?').run(trustedMs);
    });
  }

  /** What the epoch has given out. */
  addShipments(old: DamagedDatabase | undefined): void {
    this.#transact(() => {
      for (const table of ['lanes', 'outbox', 'backlog', 'aggregates', 'open_ranges'])
        for (const row of old?.readSmall(table) ?? []) this.#insert(table, row);
    });
  }

  /**
   * What reducers held back; the position that they are of is none of this database, so that it leaves at once. False where some
   * could not be read.
   */
  addReductions(old: DamagedDatabase | undefined): boolean {
    if (!old) return false;
    const { rows, isWhole } = old.readTable('reductions', 'id');
    const whole = rows.filter(
      (row) => typeof row['table_key'] === 'string' && row['bytes'] instanceof Uint8Array,
    );
    this.#transact(() => {
      for (const row of whole) this.#insert('reductions', row);
    });
    return isWhole && whole.length === rows.length;
  }

  finish(): void {
    const seal = new Seal(this.#prepare);
    this.#transact(() => seal.renew());
  }

  /** Everything is in the one file then. */
  close(): void {
    this.#db.close();
  }

  #insert(table: string, row: Row): void {
    const names = Object.keys(row);
    const values = names.map((name) => `@${name}`);
    this.#statement(`INSERT OR IGNORE INTO ${table} (${names.join(', ')}) VALUES (${values.join(', ')})`).run(
      row,
    );
  }

  #raiseSequence(name: string, seq: number): void {
    const { changes } = this.#statement('UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?').run(
      seq,
      name,
    );
    if (changes === 0)
      this.#statement('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)').run(name, seq);
  }

  readonly #statements = new Map<string, Database.Statement>();

  #statement(text: string): Database.Statement {
    const known = this.#statements.get(text) ?? this.#prepare(text);
    this.#statements.set(text, known);
    return known;
  }

  #transact(work: () => void): void {
    asFailures(() => this.#db.transaction(work).immediate());
  }
}

function isWholeRow(row: Row): boolean {
  return isWholeLoss({
    kind: row['kind'],
    stream: row['stream'],
    reason: row['reason'],
    whenMs: row['when_ms'],
    firstSeq: row['first_seq'],
    lastSeq: row['last_seq'],
    firstMs: row['first_ms'],
    lastMs: row['last_ms'],
    count: row['count'],
    bytes: row['bytes'],
  } as unknown as Loss);
}

function isWholeBoot(row: Row): boolean {
  return (
    ['boot', 'first_seq'].every((name) => Number.isSafeInteger(row[name])) &&
    typeof row['id'] === 'string' &&
    (row['offset_ms'] === null || Number.isSafeInteger(row['offset_ms']))
  );
}

function isWholeLetter(row: Row): boolean {
  return (
    ['source', 'topic', 'code', 'reason'].every((name) => typeof row[name] === 'string') &&
    ['seq', 'arrived_ms'].every((name) => Number.isSafeInteger(row[name])) &&
    (row['stream'] === null || typeof row['stream'] === 'string') &&
    row['payload'] instanceof Uint8Array
  );
}

/** Before letters could be replayed, they named the first stream alone. */
function refusedByOf({ refused_by, stream }: Row): string {
  return isNames(refused_by)
    ? String(refused_by)
    : JSON.stringify(typeof stream === 'string' ? [stream] : []);
}

function isWholeChoice({ seq, only_for, not_for }: Row): boolean {
  return Number.isSafeInteger(seq) && [only_for, not_for].every((names) => names === null || isNames(names));
}

function isNames(text: unknown): boolean {
  return typeof text === 'string' && readNames(text) !== undefined;
}

function isWholeTotal(row: Row): boolean {
  return (
    ['kind', 'last_reason'].every((name) => typeof row[name] === 'string') &&
    ['count', 'bytes', 'last_ms'].every((name) => Number.isSafeInteger(row[name]))
  );
}
