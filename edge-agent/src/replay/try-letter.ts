/**
 * What the streams would make of a dead letter now, on a router of its own: nothing of it is shipped. The streams that had
 * the message the first time are not asked again.
 */
import { summarise, type Router, type StreamRefusal } from '../decode/router.js';
import { isCut } from '../log/bounded-letter.js';
import type { DeadLetter, StillRefused } from '../log/edge-log.js';

export interface LetterTrial {
  readonly letter: DeadLetter;
  /** Rows by stream, of those that can read it. */
  readonly readBy: ReadonlyMap<string, number>;
  /** What stays a letter; undefined: nothing. */
  readonly left: StillRefused | undefined;
}

export function tryLetter(letter: DeadLetter, router: Router): LetterTrial {
  if (isCut(letter)) return { letter, readBy: new Map(), left: { ...letter, code: 'payload_cut' } };
  const { refusedBy, seq, source, topic, payload, arrivedMs } = letter;
  const readBy = new Map<string, number>();
  let refusals: readonly StreamRefusal[] = [];
  router.listener = {
    onRows: (_, stream, { rowCount }) => void readBy.set(stream, rowCount),
    onRefused: (_, all) => {
      refusals = all;
    },
  };
  const streams = refusedBy.length === 0 ? undefined : { onlyFor: refusedBy };
  const arrivedUs = arrivedMs * 1_000;
  router.route({ seq, source, topic, payload, arrivedMs, arrivedUs, packetId: 0, streams }, new Map());
  const [first] = refusals;
  return { letter, readBy, left: first && summarise(first, refusals) };
}
