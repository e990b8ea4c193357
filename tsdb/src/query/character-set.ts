/**
 * Which characters `[a-z]` or `\d` stands for: a bit for each of ASCII, capitals as small letters. Pure.
 */

/** All characters. */
export const wholeSet = (1n << 129n) - 1n;
/** All that are not ASCII share a bit. */
const beyondAscii = 1n << 128n;

export function literalSet(character: string): bigint {
  const code = character.toLowerCase().codePointAt(0) ?? 0;
  return code < 128 ? 1n << BigInt(code) : beyondAscii;
}

const named: Readonly<Record<string, readonly [from: string, to: string][]>> = {
  d: [['0', '9']],
  s: [
    ['\t', '\r'],
    [' ', ' '],
  ],
  w: [
    ['0', '9'],
    ['A', 'Z'],
    ['_', '_'],
    ['a', 'z'],
  ],
};
/** Escapes that stand for something other than what is written. */
const special = /\\[^dsw\W_]|\[:/;

/** @returns undefined for what has more than ASCII in it, or may */
export function characterSet(text: string): bigint | undefined {
  if (text.startsWith('[^') || special.test(text) || /[^\0-\x7f]/.test(text)) return undefined;
  const inside = text.startsWith('[') ? text.replace(/^\[|(?<=.)\]$/gs, '') : text;
  let set = 0n;
  for (const [item] of inside.matchAll(/\\[dsw]|(?:\\[^]|[^])(?:-(?:\\[^]|[^]))?/g)) set |= itemSet(item);
  return set;
}

function itemSet(item: string): bigint {
  const ranges = /^\\[dsw]$/.test(item) ? (named[item.slice(1)] ?? []) : [ends(item.replaceAll('\\', ''))];
  return ranges.reduce((set, [from, to]) => set | rangeSet(from, to), 0n);
}

function ends(item: string): readonly [string, string] {
  return [item[0] ?? '\\', item.length === 3 ? (item[2] ?? '') : (item[0] ?? '\\')];
}

function rangeSet(from: string, to: string): bigint {
  let set = 0n;
  for (let code = from.charCodeAt(0); code <= to.charCodeAt(0); code++)
    set |= literalSet(String.fromCharCode(code));
  return set;
}

/** Whether no two of them overlap without being the same. */
export function isPartition(sets: ReadonlySet<bigint>): boolean {
  let all = 0n;
  for (const set of sets) {
    if ((all & set) !== 0n) return false;
    all |= set;
  }
  return true;
}
