/**
 * What the edge database knows of the gateway's clocks: one row for each boot, until its last block is gone. Runs inside the
 * transactions of `SqliteLog`, on the log's thread.
 *
 * A block says when its messages came by two clocks: the monotonic one of its boot, and the wall clock of that moment, which
 * a gateway without a battery has not set yet. How it is read:
 *
 *     trusted     the wall clock was trusted when the block began: as it says
 *     corrected   it was not, and was later in the same boot: monotonic time + `offset_ms`, which that moment gave
 *     open        it was not, and has not been: as it says. While its boot lasts, whoever needs the time may wait
 *
 * `offset_ms` is written once for a boot and never changes, and only the newest boot can get one. So what was known at any
 * moment is one number, the newest boot with an offset; a shipment keeps it (`clock_boot`), and is made again with that
 * knowledge and no later one (DESIGN I2, I4).
 *
 * `position.trusted_ms` is the newest trusted time that was stored; it is written with the position, and costs no page more.
 */
import type Database from 'better-sqlite3';
import type { BlockClock } from './block.js';
import { prepareStatements, type Statements } from './log-database.js';

/** How a block's arrival times are to be read. */
export interface BlockArrival {
  /** Its number in this database. */
  readonly boot: number;
  readonly state: 'trusted' | 'corrected' | 'open';
  /** Added to what the block says. */
  readonly shiftMs: number;
}

export interface BootState {
  readonly boot: number;
  /** Wall clock minus monotonic clock, as trusted in this boot; null while it is not. */
  readonly offsetMs: number | null;
  /** The newest trusted time that was stored, in this boot or before. */
  readonly trustedMs: number | null;
}

export interface BootTrust {
  readonly boot: number;
  readonly offsetMs: number;
  readonly trustedMs: number;
}

const statementTexts = {
  find: 'SELECT boot FROM boots WHERE id = ?',
  insert: 'INSERT INTO boots (id, first_seq) VALUES (@id, @firstSeq) RETURNING boot',
  // The newest stays, so that no number is given twice.
  prune: `
      DELETE FROM boots WHERE EXISTS (
        SELECT 1 FROM boots AS next
        WHERE next.boot > boots.boot AND (next.first_seq <= @oldestSeq OR next.first_seq = boots.first_seq))`,
  known: 'SELECT boot, offset_ms AS offsetMs FROM boots WHERE offset_ms IS NOT NULL ORDER BY boot',
  trust: 'UPDATE boots SET offset_ms = @offsetMs WHERE boot = @boot AND offset_ms IS NULL',
  trustedMs: 'SELECT trusted_ms FROM position',
  setTrustedMs: 'UPDATE position SET trusted_ms = ?',
} as const;

export class Boots {
  readonly #statements: Statements<keyof typeof statementTexts>;
  #offsets = new Map<number, number>();

  constructor(db: Database.Database) {
    this.#statements = prepareStatements(db, statementTexts);
    this.#learn();
  }

  /** The newest boot whose clock came to be trusted; 0 where there is none. */
  get knownBoot(): number {
    return Math.max(0, ...this.#offsets.keys());
  }

  /** The boot of this id. Undefined where it is new here. */
  find(id: string): BootState | undefined {
    const boot = this.#statements.find.pluck().get(id) as number | undefined;
    if (boot === undefined) return undefined;
    const trustedMs = this.#statements.trustedMs.pluck().get() as number | null;
    return { boot, offsetMs: this.#offsets.get(boot) ?? null, trustedMs };
  }

  /** Inside a transaction. `firstSeq` is the next message's number, `oldestSeq` that of the oldest block. */
  add(id: string, firstSeq: number, oldestSeq: number): void {
    this.#statements.insert.pluck().get({ id, firstSeq });
    this.#statements.prune.run({ oldestSeq });
    this.#learn();
  }

  /** Inside a transaction. The first time counts. */
  trust({ boot, offsetMs, trustedMs }: BootTrust): void {
    this.#statements.trust.run({ boot, offsetMs });
    this.noteTrustedMs(trustedMs);
  }

  /** After the transaction of `trust`. */
  noteKnown(): void {
    this.#learn();
  }

  /** Inside a transaction that writes the position. */
  noteTrustedMs(trustedMs: number): void {
    this.#statements.setTrustedMs.run(trustedMs);
  }

  /** By what was known when `clockBoot` was the newest boot known. Undefined for a block that names no boot. */
  arrivalOf({ boot, offsetMs, isTrusted }: BlockClock, clockBoot: number): BlockArrival | undefined {
    if (boot === 0) return undefined;
    if (isTrusted) return { boot, state: 'trusted', shiftMs: 0 };
    const known = boot <= clockBoot ? this.#offsets.get(boot) : undefined;
    if (known === undefined) return { boot, state: 'open', shiftMs: 0 };
    return { boot, state: 'corrected', shiftMs: known - offsetMs };
  }

  #learn(): void {
    const rows = this.#statements.known.all() as { boot: number; offsetMs: number }[];
    this.#offsets = new Map(rows.map(({ boot, offsetMs }) => [boot, offsetMs]));
  }
}
