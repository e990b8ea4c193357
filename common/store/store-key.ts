/**
 * Which keys a store takes, and how keys are ordered. The rules are those that a folder and S3 can both hold, so that a
 * key works everywhere or nowhere:
 *
 * - parts between slashes, none of them empty, `.` or `..`, each at most 255 bytes of UTF-8, the key at most 1,024;
 * - no control characters, no backslash, no halves of surrogate pairs;
 * - nothing below `.tmp/`, where a folder store keeps unfinished objects.
 *
 * A key cannot be the parent of another (`a` and `a/b`): a folder cannot hold both. No key of DESIGN §5.4 is.
 */
import { Failure } from '../errors.js';

/** Relative to the root of a folder store. */
export const temporaryDirectoryName = '.tmp';

const keyBytesMax = 1024;
const partBytesMax = 255;
const forbiddenCharacter = /[\p{Cc}\p{Cs}\\]/u;

function isKeyPart(part: string): boolean {
  return part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= partBytesMax;
}

export function isStoreKey(key: string): boolean {
  if (Buffer.byteLength(key) > keyBytesMax || forbiddenCharacter.test(key)) return false;
  const parts = key.split('/');
  return parts[0] !== temporaryDirectoryName && parts.every(isKeyPart);
}

/** @throws Failure `key_invalid` */
export function requireStoreKey(key: string): string {
  if (isStoreKey(key)) return key;
  throw new Failure('key_invalid', `${JSON.stringify(key)} is not a key that a store takes`, {
    hint: 'write parts between single slashes, without "..", backslashes and control characters',
  });
}

/** Orders keys by their UTF-8 bytes, as S3 does. */
export function compareKeys(left: string, right: string): number {
  const commonLength = Math.min(left.length, right.length);
  for (let index = 0; index < commonLength; index++) {
    const difference = utf8Rank(left.charCodeAt(index)) - utf8Rank(right.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** UTF-16 puts surrogates, which stand for U+10000 and above, before U+E000 to U+FFFF; UTF-8 puts them after. */
function utf8Rank(codeUnit: number): number {
  if (codeUnit < 0xd800) return codeUnit;
  return codeUnit < 0xe000 ? codeUnit + 0x2000 : codeUnit - 0x800;
}
