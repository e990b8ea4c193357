/**
 * A checksum over the few rows that decide which number a shipment gets: the epoch, the position, the lanes, the outbox; and
 * over what the gaps add up to. It is kept in `meta` and renewed in every transaction that changes one of them. A byte that a card has changed there would not be
 * an error to SQLite, but a number given out twice, or messages passed over.
 */
import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';

export const sealKey = 'seal';
/** All columns: what is added to these tables later is sealed as well. */
const sealedTexts = [
  `SELECT key, value FROM meta WHERE key <> '${sealKey}' ORDER BY key`,
  'SELECT * FROM position',
  'SELECT * FROM lanes ORDER BY lane, database, table_name',
  'SELECT * FROM outbox ORDER BY id',
  'SELECT * FROM backlog ORDER BY first_seq',
  'SELECT * FROM boots ORDER BY boot',
  'SELECT * FROM aggregates ORDER BY table_key',
  'SELECT * FROM open_ranges ORDER BY first_seq',
  'SELECT count(*), sum(first_seq), sum(end_seq) FROM gaps',
];
const readText = `SELECT value FROM meta WHERE key = '${sealKey}'`;
const writeText = `
  INSERT INTO meta VALUES ('${sealKey}', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`;

type Prepare = (text: string) => Database.Statement;

export class Seal {
  readonly #sealed: readonly Database.Statement[];
  readonly #read: Database.Statement;
  readonly #write: Database.Statement;

  constructor(prepare: Prepare) {
    this.#sealed = sealedTexts.map((text) => prepare(text).raw());
    this.#read = prepare(readText).pluck();
    this.#write = prepare(writeText);
  }

  /** Inside the transaction that changes what is sealed. */
  renew(): void {
    this.#write.run(this.#now());
  }

  /** `missing` in a database that an older version wrote. */
  check(): 'whole' | 'broken' | 'missing' {
    const seal = this.#read.get();
    if (seal === undefined) return 'missing';
    return seal === this.#now() ? 'whole' : 'broken';
  }

  #now(): string {
    return crc32(JSON.stringify(this.#sealed.map((statement) => statement.all()))).toString(16);
  }
}
