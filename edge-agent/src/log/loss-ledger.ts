/**
 * The loss ledger in the edge database. Runs inside the transactions of `SqliteLog`, on the log's thread.
 *
 * 1. `add` writes a row in the transaction that loses something. 2. `waiting` hands out rows that are in no shipment yet.
 * 3. `ship` marks them with their shipment's outbox entry, in the transaction that stages it. 4. `confirm` deletes them when
 * the store has it. So a row is in one shipment, whatever is killed.
 *
 * Bound: `waitingRowsMax` rows in no shipment; beyond it the oldest half are merged, one row for each kind and stream, so
 * counts stay true. Rows that were handed out are not touched: what is being written must be what is marked.
 */
import type Database from 'better-sqlite3';
import { Failure } from '@varve/common/errors.js';
import { prepareStatements, type Statements } from './log-database.js';
import { groupBy, isWholeLoss, mergeRows, type LedgerRow, type Loss, type LossTotal } from './loss.js';

export const waitingRowsMax = 10_000;
/** Rows of one shipment. */
export const shippedRowsMax = 1_000;

const rowColumns = `id, when_ms * 1000 + id % 1000 AS timeUs, when_ms AS whenMs, kind, stream, first_seq AS firstSeq,
    last_seq AS lastSeq, first_ms AS firstMs, last_ms AS lastMs, count, bytes, reason`;

const statementTexts = {
  insert: `
      INSERT INTO losses (when_ms, kind, stream, first_seq, last_seq, first_ms, last_ms, count, bytes, reason)
      VALUES (@whenMs, @kind, @stream, @firstSeq, @lastSeq, @firstMs, @lastMs, @count, @bytes, @reason)`,
  addTotal: `
      INSERT INTO loss_totals VALUES (@kind, @count, @bytes, @whenMs, @reason)
      ON CONFLICT (kind) DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes,
        last_ms = excluded.last_ms, last_reason = excluded.last_reason`,
  waitingCount: 'SELECT count(*) FROM losses WHERE outbox_id IS NULL',
  waiting: `SELECT ${rowColumns} FROM losses WHERE outbox_id IS NULL AND id > @afterId ORDER BY id LIMIT @limit`,
  shipped: `SELECT ${rowColumns} FROM losses WHERE outbox_id = ? ORDER BY id`,
  ship: 'UPDATE losses SET outbox_id = @outboxId WHERE outbox_id IS NULL AND id <= @lastId',
  confirm: 'DELETE FROM losses WHERE outbox_id = ?',
  replace: `
      UPDATE losses SET first_seq = @firstSeq, last_seq = @lastSeq, first_ms = @firstMs, last_ms = @lastMs,
        count = @count, bytes = @bytes WHERE id = @id`,
  remove: 'DELETE FROM losses WHERE id = ?',
  totals: `
      SELECT kind, count, bytes, last_ms AS lastMs, last_reason AS lastReason FROM loss_totals ORDER BY kind`,
} as const;

export class LossLedger {
  readonly #statements: Statements<keyof typeof statementTexts>;
  #handedOutId = 0;

  constructor(db: Database.Database) {
    this.#statements = prepareStatements(db, statementTexts);
  }

  /** Rows that are in no shipment yet. */
  get waitingCount(): number {
    return this.#statements.waitingCount.pluck().get() as number;
  }

  /** Inside a transaction. */
  add(losses: readonly Loss[]): void {
    const { insert, addTotal } = this.#statements;
    for (const { whenMs, kind, stream, firstSeq, lastSeq, firstMs, lastMs, count, bytes, reason } of losses) {
      insert.run({ whenMs, kind, stream, firstSeq, lastSeq, firstMs, lastMs, count, bytes, reason });
      addTotal.run({ kind, count, bytes, whenMs, reason });
    }
    if (this.waitingCount > waitingRowsMax) this.#mergeOldest();
  }

  /** The oldest rows in no shipment. They stay as they are until this process ends. */
  waiting(): LedgerRow[] {
    const rows = this.#statements.waiting.all({ afterId: 0, limit: shippedRowsMax }) as LedgerRow[];
    this.#handedOutId = rows.at(-1)?.id ?? this.#handedOutId;
    return requireWhole(rows);
  }

  /** Those of a shipment, in order. */
  shipped(outboxId: number): LedgerRow[] {
    return requireWhole(this.#statements.shipped.all(outboxId) as LedgerRow[]);
  }

  /** Inside the transaction that stages their shipment. */
  ship(lastId: number, outboxId: number): void {
    this.#statements.ship.run({ lastId, outboxId });
  }

  /** Inside the transaction that forgets the shipment. */
  confirm(outboxId: number): void {
    this.#statements.confirm.run(outboxId);
  }

  totals(): LossTotal[] {
    return this.#statements.totals.all() as LossTotal[];
  }

  #mergeOldest(): void {
    const { waiting, replace, remove } = this.#statements;
    const limit = waitingRowsMax / 2;
    const rows = waiting.all({ afterId: this.#handedOutId, limit }) as LedgerRow[];
    for (const group of groupBy(rows, ({ kind, stream }) => `${kind} ${stream ?? ''}`)) {
      const { id, firstSeq, lastSeq, firstMs, lastMs, count, bytes } = mergeRows(group);
      for (const row of group) if (row.id !== id) remove.run(row.id);
      replace.run({ id, firstSeq, lastSeq, firstMs, lastMs, count, bytes });
    }
  }
}

function requireWhole(rows: LedgerRow[]): LedgerRow[] {
  if (rows.every(isWholeLoss)) return rows;
  throw new Failure('log_corrupt', 'the edge database: a row of the loss ledger holds what it cannot');
}
