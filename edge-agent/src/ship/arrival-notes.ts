/**
 * What a window found out about arrival times: which messages have a row whose time was put right, or is the word of a clock
 * that nobody trusts. They become rows of the loss ledger.
 *
 * Messages whose stream has a time of its own are not concerned.
 */
import type { BlockArrival } from '../log/boots.js';
import type { Loss } from '../log/loss.js';
import type { LoggedMessage } from '../message.js';

/** A clock that was out by less was right, for a gateway. */
const correctedMsMin = 2_000;

export interface ArrivalNote {
  readonly arrival: BlockArrival;
  readonly stream: string;
  readonly loss: Omit<Loss, 'whenMs'>;
}

/** Whether messages of such a block are worth a note. */
export function isNoteworthy(arrival: BlockArrival | undefined): arrival is BlockArrival {
  return arrival?.state === 'open' || Math.abs(arrival?.shiftMs ?? 0) >= correctedMsMin;
}

/** One note for each boot, stream and kind; of the corrections of a boot the first is the one that is named. */
export class ArrivalNotes {
  readonly #notes = new Map<string, ArrivalNote>();

  add(stream: string, arrival: BlockArrival, { seq, arrivedMs, topic, payload }: LoggedMessage): void {
    const key = noteKey(stream, arrival);
    const before = this.#notes.get(key)?.loss;
    const loss = {
      kind: arrival.state === 'open' ? 'clock_untrusted' : 'clock_corrected',
      stream,
      firstSeq: before?.firstSeq ?? seq,
      lastSeq: seq,
      firstMs: Math.min(before?.firstMs ?? arrivedMs, arrivedMs),
      lastMs: Math.max(before?.lastMs ?? arrivedMs, arrivedMs),
      count: (before?.count ?? 0) + 1,
      bytes: (before?.bytes ?? 0) + Buffer.byteLength(topic) + payload.length,
      reason: before?.reason ?? reasonOf(arrival),
    } as const;
    this.#notes.set(key, { arrival, stream, loss });
  }

  all(): ArrivalNote[] {
    return [...this.#notes.values()];
  }
}

/** Which clocks have been called untrusted already: once is enough for a boot and stream, or every window would say so. */
export class ToldClocks {
  readonly #told = new Set<string>();

  /** Ledger rows of these notes. */
  lossesOf(notes: readonly ArrivalNote[], whenMs: number): Loss[] {
    return notes
      .filter(({ stream, arrival }) => !this.#told.has(noteKey(stream, arrival)))
      .map(({ loss }) => ({ ...loss, whenMs }));
  }

  /** They are in the ledger. */
  note(notes: readonly ArrivalNote[]): void {
    for (const { stream, arrival } of notes)
      if (arrival.state === 'open') this.#told.add(noteKey(stream, arrival));
  }
}

function noteKey(stream: string, { boot, state }: BlockArrival): string {
  return `${boot} ${state} ${stream}`;
}

function reasonOf({ state, shiftMs }: BlockArrival): string {
  if (state === 'open')
    return 'the clock was not trusted: from here on arrival times are what it says, until it is';
  return `the clock was not set: arrival times are put right by ${describeShift(shiftMs)}`;
}

/** `+3 h 12 min`: the two largest units. */
export function describeShift(shiftMs: number): string {
  const sign = shiftMs < 0 ? '-' : '+';
  let restSeconds = Math.round(Math.abs(shiftMs) / 1_000);
  const parts: string[] = [];
  for (const [seconds, unit] of units) {
    const count = Math.floor(restSeconds / seconds);
    restSeconds -= count * seconds;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return `${sign}${parts.slice(0, 2).join(' ') || '0 s'}`;
}

const units = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
] as const;
