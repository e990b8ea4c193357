/** Topic filters of brokers' sessions: in table `meta`, one row for each session there ever was, a few. */
import type { LogStatements } from './log-database.js';

export class SubscribedRows {
  readonly #statements: LogStatements;

  constructor(statements: LogStatements) {
    this.#statements = statements;
  }

  read(session: string): string[] {
    const value = this.#statements.readMeta.pluck().get(keyOf(session)) as string | undefined;
    return value === undefined ? [] : (JSON.parse(value) as string[]);
  }

  /** Inside a transaction. */
  write(session: string, filters: readonly string[]): void {
    this.#statements.writeMeta.run(keyOf(session), JSON.stringify(filters));
  }
}

function keyOf(session: string): string {
  return `subscribed ${session}`;
}
