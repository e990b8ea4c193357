/**
 * What the operating system says of local files, as a `Failure`. Used by the folder store, and by downloads of every
 * store.
 */
import { Failure, isFailure, messageOf, systemCodeOf, type FailureCode } from '../errors.js';

interface Meaning {
  readonly code: FailureCode;
  readonly hint: string;
}

const diskFull: Meaning = { code: 'disk_full', hint: 'free space on this disk, or raise the quota' };
const denied: Meaning = {
  code: 'store_denied',
  hint: 'let the user this program runs as read and write there; is the file system mounted read-only?',
};
const keyClash: Meaning = {
  code: 'key_invalid',
  hint: 'a key cannot lie below another object, and its parts are at most 255 bytes',
};

const meanings: Readonly<Record<string, Meaning>> = {
  ENOSPC: diskFull,
  EDQUOT: diskFull,
  EACCES: denied,
  EPERM: denied,
  EROFS: denied,
  ENOTDIR: keyClash,
  EISDIR: keyClash,
  ENAMETOOLONG: keyClash,
};

/** `doing` completes the sentence "could not …". Failures pass unchanged. */
export function fileFailure(error: unknown, doing: string): Failure {
  if (isFailure(error)) return error;
  const meaning = meanings[systemCodeOf(error) ?? ''];
  return new Failure(meaning?.code ?? 'store_unavailable', `could not ${doing}: ${messageOf(error)}`, {
    cause: error,
    ...(meaning && { hint: meaning.hint }),
  });
}
