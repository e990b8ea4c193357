/** Rows of the outbox, and the numbers they take. Runs inside the transactions of `SqliteLog`. */
import type { OutboxEntry, StagedShipment } from './edge-log.js';
import type { LogStatements } from './log-database.js';

type StoredEntry = Omit<OutboxEntry, 'recipe'> & { readonly recipe: string | null };

export class OutboxRows {
  readonly #statements: LogStatements;

  constructor(statements: LogStatements) {
    this.#statements = statements;
  }

  /** In the order of staging. */
  all(): OutboxEntry[] {
    return (this.#statements.outbox.all() as StoredEntry[]).map(({ recipe, ...entry }) => ({
      ...entry,
      ...(recipe !== null && { recipe: JSON.parse(recipe) as NonNullable<OutboxEntry['recipe']> }),
    }));
  }

  add(shipment: StagedShipment, clockBoot: number): OutboxEntry {
    const { insertOutbox, setLane } = this.#statements;
    const { lane, database, table, seq, recipe } = shipment;
    setLane.run(lane, database, table, seq + 1);
    const row = { ...shipment, clockBoot, recipe: recipe ? JSON.stringify(recipe) : null };
    return { ...shipment, clockBoot, id: Number(insertOutbox.run(row).lastInsertRowid) };
  }
}
