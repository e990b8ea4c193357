/**
 * Ranges of bytes as all stores read them: what lies past the end of the object is left out, so a range wholly past it
 * is empty.
 */
import assert from 'node:assert/strict';
import type { ByteRange } from './store.js';

/** An empty or reversed range is our mistake: HTTP cannot even express one. */
export function assertRange({ start, end }: ByteRange): void {
  assert(Number.isSafeInteger(start) && Number.isSafeInteger(end), 'a range counts whole bytes');
  assert(start >= 0 && end > start, `the range ${start} to ${end} is empty`);
}
