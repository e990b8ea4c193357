/** A dead letter as it is kept: not all of a long payload. */
import { deadLetterPayloadBytesMax, type DeadLetter } from './edge-log.js';

/** Whether a letter that was kept has not all of its payload. */
export function isCut({ payload, reason }: DeadLetter): boolean {
  return payload.length >= deadLetterPayloadBytesMax && /\(payload of \d+ bytes cut to \d+\)$/.test(reason);
}

export function boundedLetter(letter: DeadLetter): DeadLetter {
  if (letter.payload.length <= deadLetterPayloadBytesMax) return letter;
  return {
    ...letter,
    payload: letter.payload.subarray(0, deadLetterPayloadBytesMax),
    reason: `${letter.reason} (payload of ${letter.payload.length} bytes cut to ${deadLetterPayloadBytesMax})`,
  };
}
