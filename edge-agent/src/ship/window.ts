/**
 * The open window: everything decoded since the last shipments, one batch per table, and the messages that were refused.
 *
 * A window is a function of the log: from the position on, the same messages make the same rows, so losing it costs nothing.
 */
import { isEvicted } from '../log/block.js';
import type { BlockArrival } from '../log/boots.js';
import type { DeadLetter } from '../log/edge-log.js';
import type { LoggedMessage } from '../message.js';
import type { OpenBatches } from '../decode/append-rows.js';
import { summarise, type Router } from '../decode/router.js';
import { ArrivalNotes, isNoteworthy } from './arrival-notes.js';

export interface ClosingPolicy {
  readonly everyMs: number;
  readonly rowsMax: number;
  /** Of `estimatedBytes`. Looked at between two reads of the log, so that a window may be that much larger. */
  readonly bytesMax: number;
  /** Of topics and payloads: what is in a window cannot be dropped any more. */
  readonly logBytesMax: number;
}

/** A window with more refused messages than this closes: they are held in memory until then. */
const deadLettersPerWindowMax = 1_000;

export class Window {
  readonly openedMs: number;
  readonly firstSeq: number;
  readonly batches: OpenBatches = new Map();
  readonly deadLetters: DeadLetter[] = [];
  readonly arrivalNotes = new ArrivalNotes();
  #lastSeq: number;
  #logBytes = 0;

  /** `openedMs` is monotonic. */
  constructor(openedMs: number, firstSeq: number) {
    this.openedMs = openedMs;
    this.firstSeq = firstSeq;
    this.#lastSeq = firstSeq - 1;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Bytes of its messages, topics and payloads. */
  get logBytes(): number {
    return this.#logBytes;
  }

  get rowCount(): number {
    return [...this.batches.values()].reduce((sum, { batch }) => sum + batch.rowCount, 0);
  }

  get estimatedBytes(): number {
    return [...this.batches.values()].reduce((sum, { batch }) => sum + batch.estimatedBytes, 0);
  }

  /** `arrival` as of its block. */
  take(
    message: LoggedMessage,
    router: Pick<Router, 'route' | 'arrivalStreams'>,
    arrival?: BlockArrival,
  ): void {
    this.#lastSeq = message.seq;
    this.#logBytes += message.topic.length + message.payload.length;
    // What was evicted keeps its number, and is in the ledger.
    if (isEvicted(message)) return;
    const refusals = router.route(message, this.batches);
    if (isNoteworthy(arrival))
      for (const stream of router.arrivalStreams(message.topic))
        if (!refusals.some((refusal) => refusal.stream === stream))
          this.arrivalNotes.add(stream, arrival, message);
    const [first] = refusals;
    if (!first) return;
    const { seq, source, topic, arrivedMs } = message;
    // The payload is a view of a whole block: a copy lets go of the rest.
    const payload = message.payload.slice();
    this.deadLetters.push({ seq, source, topic, payload, arrivedMs, ...summarise(first, refusals) });
  }

  /** How long it may stay open, in ms; 0 when it is due. */
  dueInMs(monotonicMs: number, policy: ClosingPolicy): number {
    return this.isFull(policy) ? 0 : Math.max(0, this.openedMs + policy.everyMs - monotonicMs);
  }

  isFull({ rowsMax, bytesMax, logBytesMax }: ClosingPolicy): boolean {
    return (
      this.rowCount >= rowsMax ||
      this.#logBytes >= logBytesMax ||
      this.deadLetters.length >= deadLettersPerWindowMax ||
      this.estimatedBytes >= bytesMax
    );
  }
}
