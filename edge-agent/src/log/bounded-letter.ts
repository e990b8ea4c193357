/** A dead letter as it is kept: not all of a long payload. */
import { deadLetterPayloadBytesMax, type DeadLetter } from './edge-log.js';

export function boundedLetter(letter: DeadLetter): DeadLetter {
  if (letter.payload.length <= deadLetterPayloadBytesMax) return letter;
  return {
    ...letter,
    payload: letter.payload.subarray(0, deadLetterPayloadBytesMax),
    reason: `${letter.reason} (payload of ${letter.payload.length} bytes cut to ${deadLetterPayloadBytesMax})`,
  };
}
