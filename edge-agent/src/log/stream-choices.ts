/**
 * Messages that are not for every stream whose topic matches: one row for each, until its block is gone. On the log's thread,
 * inside the transactions of `SqliteLog`.
 *
 *     only_for   a dead letter that was replayed: the streams that can read it now. Others may have had it the first time
 *     not_for    the message it was made of: the streams that refused it then. `[]`: no stream wanted it
 *
 * So a message is read once for each stream, though blocks are decoded again under a configuration that has been mended: by
 * aggregates after a start, for a shipment that is made again, in a new epoch. As long as a letter has not been replayed, the
 * letter itself says who refused it.
 */
import type Database from 'better-sqlite3';
import { Failure } from '@varve/common/errors.js';
import type { StreamChoice } from '../message.js';
import { prepareStatements, type Statements } from './log-database.js';
import type { SeqRange } from './gaps.js';

const statementTexts = {
  within: `
      SELECT seq, only_for AS onlyFor, not_for AS notFor FROM stream_choices WHERE seq >= @firstSeq AND seq < @endSeq
      UNION ALL
      SELECT seq, NULL, refused_by FROM dead_letters WHERE seq >= @firstSeq AND seq < @endSeq
      ORDER BY seq`,
  setOnlyFor: 'INSERT INTO stream_choices (seq, only_for) VALUES (@seq, @streams)',
  // The first time counts: what is left of a letter was refused by fewer.
  setNotFor: `
      INSERT INTO stream_choices (seq, not_for) VALUES (@seq, @streams)
      ON CONFLICT (seq) DO UPDATE SET not_for = coalesce(not_for, excluded.not_for)`,
  forget: `
      DELETE FROM stream_choices WHERE seq < coalesce((SELECT min(first_seq) FROM blocks),
        (SELECT max(end_seq, next_seq) FROM position))`,
} as const;

interface ChoiceRow {
  readonly seq: number;
  readonly onlyFor: string | null;
  readonly notFor: string | null;
}

export class StreamChoices {
  readonly #statements: Statements<keyof typeof statementTexts>;

  constructor(db: Database.Database) {
    this.#statements = prepareStatements(db, statementTexts);
  }

  /** By message; undefined where all are for every stream. */
  within({ firstSeq, endSeq }: SeqRange): ReadonlyMap<number, StreamChoice> | undefined {
    const rows = this.#statements.within.all({ firstSeq, endSeq }) as ChoiceRow[];
    if (rows.length === 0) return undefined;
    const choices = new Map<number, StreamChoice>();
    for (const { seq, onlyFor, notFor } of rows) {
      const before = choices.get(seq);
      const [only, not] = [namesOf(onlyFor) ?? before?.onlyFor, namesOf(notFor)];
      choices.set(seq, { ...(only && { onlyFor: only }), notFor: mostOf(before?.notFor, not) });
    }
    return choices;
  }

  setOnlyFor(seq: number, streams: readonly string[]): void {
    this.#statements.setOnlyFor.run({ seq, streams: JSON.stringify(streams) });
  }

  setNotFor(seq: number, streams: readonly string[]): void {
    this.#statements.setNotFor.run({ seq, streams: JSON.stringify(streams) });
  }

  /** Those whose block is gone. */
  forget(): void {
    this.#statements.forget.run();
  }
}

/** @throws Failure `log_corrupt` */
function namesOf(text: string | null): readonly string[] | undefined {
  if (text === null) return undefined;
  const names = readNames(text);
  if (!names)
    throw new Failure('log_corrupt', 'the edge database does not say which streams refused a message');
  return names;
}

/** Undefined where the text is not a JSON array of names. */
export function readNames(text: unknown): readonly string[] | undefined {
  try {
    const names: unknown = JSON.parse(String(text));
    return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined;
  } catch {
    return undefined;
  }
}

/** A letter of which a part was replayed names fewer than its message's row. */
function mostOf(
  before: StreamChoice['notFor'],
  names: readonly string[] | undefined,
): StreamChoice['notFor'] {
  if (before === 'all' || names?.length === 0) return 'all';
  return [...new Set([...(before ?? []), ...(names ?? [])])].sort();
}
