/**
 * Dead letters go through the agent again: they become messages at the end of the log, for those streams that can read them
 * now. Runs inside one transaction of `SqliteLog`, which is the commit point: killed before it, nothing has happened; after it,
 * they are messages like others.
 *
 * A letter that one of its streams still refuses stays, for that stream alone. Arrival times stay as they were; there is no
 * packet identifier, so no redelivery is taken for one of them. The log does not grow: what is appended is deleted as letters.
 */
import { BlockBuilder } from './block.js';
import type { DeadLetter, NewBlock, ReplayRequest, StillRefused } from './edge-log.js';
import type { LogStatements } from './log-database.js';
import { groupBy, lossOfReplayed, type Loss } from './loss.js';
import { packBlocks } from './packed-block.js';
import type { PackedRow } from './stored-block.js';
import { readNames, type StreamChoices } from './stream-choices.js';

export interface LetterReplay {
  /** To be appended. */
  readonly rows: readonly PackedRow[];
  /** Letters that are none any more. */
  readonly losses: Loss[];
}

export class LetterReplays {
  readonly #statements: LogStatements;
  readonly #choices: StreamChoices;

  constructor(statements: LogStatements, choices: StreamChoices) {
    this.#statements = statements;
    this.#choices = choices;
  }

  /** Deletes the letters, or what of them can be read; those that are gone meanwhile are passed over. The log ends at `endSeq`. */
  take({ letters, nowMs }: ReplayRequest, endSeq: number): LetterReplay {
    const taken = letters.flatMap(({ seq, readBy, left }) => {
      const letter = this.#find(seq);
      if (!letter) return [];
      if (left) this.#keep(seq, left);
      else this.#statements.deleteDeadLetter.run(seq);
      this.#choices.setNotFor(seq, letter.refusedBy);
      return { letter, readBy, isWhole: !left };
    });
    const bySource = groupBy(taken, ({ letter }) => letter.source);
    const whole = taken.flatMap(({ letter, isWhole }) => (isWhole ? letter : []));
    for (const [index, { readBy }] of bySource.flat().entries())
      this.#choices.setOnlyFor(endSeq + index, readBy);
    const blocks = bySource.map((all) => blockOfLetters(all.map(({ letter }) => letter)));
    return {
      rows: packBlocks(blocks, endSeq),
      losses: groupBy(whole, ({ stream }) => stream ?? '').map((all) => lossOfReplayed(all, nowMs)),
    };
  }

  #find(seq: number): DeadLetter | undefined {
    const row = this.#statements.deadLetter.get(seq) as LetterRow | undefined;
    return row && letterOf(row);
  }

  #keep(seq: number, { stream, code, reason, refusedBy }: StillRefused): void {
    const names = JSON.stringify(refusedBy);
    this.#statements.changeDeadLetter.run({ seq, stream, code, reason, refusedBy: names });
  }
}

export type LetterRow = Omit<DeadLetter, 'refusedBy'> & { readonly refusedBy: string };

export function letterOf(row: LetterRow): DeadLetter {
  // What is damaged there shows when its message is read; a letter is shown all the same.
  return { ...row, refusedBy: readNames(row.refusedBy) ?? (row.stream === null ? [] : [row.stream]) };
}

export function blockOfLetters(letters: readonly DeadLetter[]): NewBlock {
  // Of no boot: nothing that is learned of clocks later changes when they came.
  const block = new BlockBuilder();
  for (const { topic, payload, arrivedMs } of letters) block.add({ topic, payload, arrivedMs, packetId: 0 });
  return { source: letters[0]?.source ?? '', messageCount: letters.length, bytes: block.finish() };
}
