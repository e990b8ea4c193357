/**
 * How long the texts may be that a call is given. DuckDB heeds an interrupt after 2,048 rows, so that what takes more than 1 ms for one
 * row is two seconds in which nobody can end a query. Where a call stays below that with any text, nothing is done; else it looks
 * at each text first (`bound-texts.ts`). Pure. Measured with DuckDB 1.5.6, on one core, in ns for each byte of the worst text:
 *
 * | what                                       | ns                                         | so that                             |
 * |--------------------------------------------|--------------------------------------------|-------------------------------------|
 * | `contains`, `strpos`, `replace`, …         | 13, and 0.02 for each byte that is sought  | both, multiplied, are bounded       |
 * | `string_split`, `split_part`               | 66 where every byte separates; the same    | 32 KB, 2.5 ms                       |
 * | `translate`                                | 29                                         | 32 KB                               |
 * | `levenshtein`                              | 5.5 for each byte of the other text        | both, multiplied                    |
 * | `damerau_levenshtein`                      | 19.5 for each byte of the other text       | both, multiplied                    |
 * | `jaro_similarity`, `jaro_winkler_…`        | 0.009 for each byte of the other text      | both, multiplied                    |
 * | `json_merge_patch`                         | 0.05 for each byte of the other text       | both, multiplied                    |
 * | `nfc_normalize` of accents on one letter   | 0.8 for each byte of the text once more    | 1,000 bytes                         |
 * | GLOB, ILIKE, LIKE with `_`, ESCAPE         | 4.3 for each byte of the pattern           | both, multiplied                    |
 * | regular expressions                        | `regexp-cost.ts`                           |                                     |
 */
import type { Params } from './bind-params.js';
import { constantValue } from './constant-value.js';
import { patternText } from './pattern-text.js';
import { anyTextBytes, textBytesFor } from './regexp-cost.js';
import { nameAt, nodesAt, type SqlNode } from './sql-tree.js';

/** Of the first argument. */
export interface TextBound {
  /** Infinite: any. */
  readonly bytesMax: number;
  /** Multiplied with the bytes of the second argument. */
  readonly productMax: number;
}

const split = 'string_split str_split string_to_array split split_part';
const byNames = <T>(...entries: [names: string, value: T][]): ReadonlyMap<string, T> =>
  new Map(entries.flatMap(([names, value]) => names.split(' ').map((name): [string, T] => [name, value])));

/** Where the second argument is sought in the first one, or is compared with it. */
const products = byNames(
  [`contains strpos instr position replace ${split}`, 2 ** 24],
  ['levenshtein editdist3', 120_000],
  ['damerau_levenshtein', 50_000],
  ['jaro_similarity jaro_winkler_similarity', 5e7],
  ['json_merge_patch', 2e7],
);
const longest = byNames([split, 32_768], ['translate', 32_768], ['nfc_normalize', 1_000]);
const patternProductMax = 200_000;
/** Where the options are. */
const regexps = byNames(
  ['regexp_matches regexp_full_match', 2],
  ['string_split_regex str_split_regex regexp_split_to_array regexp_split_to_table', 2],
  ['regexp_replace regexp_extract regexp_extract_all', 3],
);

/** They look for one match. */
const singles = new Set(['regexp_matches', 'regexp_full_match', 'regexp_extract']);

/** Where parameters are given that are not free, whatever they are. */
export const openTextBytes = 400;
/** For the longest pattern. */
export const openLikeBytes = patternProductMax / 100;

export const isRegexp = (name: string): boolean => regexps.has(name);
export const isBounded = (name: string): boolean => products.has(name) || longest.has(name);

export const free: TextBound = { bytesMax: Number.POSITIVE_INFINITY, productMax: Number.POSITIVE_INFINITY };

export function isFree({ bytesMax, productMax }: TextBound): boolean {
  return bytesMax >= anyTextBytes && productMax === Number.POSITIVE_INFINITY;
}

/** Of a call that `isBounded`. What is sought may come with the rows. */
export function boundOfCall(call: SqlNode, params: Params | undefined): TextBound {
  const name = nameAt(call, 'function_name');
  const bytesMax = longest.get(name) ?? Number.POSITIVE_INFINITY;
  const productMax = products.get(name) ?? Number.POSITIVE_INFINITY;
  const [, sought] = nodesAt(call, 'children');
  const text = sought && patternText(sought, params);
  return text === undefined
    ? { bytesMax, productMax }
    : {
        ...free,
        bytesMax: Math.min(bytesMax, Math.floor(productMax / Math.max(1, Buffer.byteLength(text)))),
      };
}

/** Of a pattern of LIKE or GLOB with a wildcard that has something behind it, where DuckDB goes back over the text. */
export function boundOfPattern(pattern: string): TextBound {
  return { ...free, bytesMax: Math.floor(patternProductMax / Buffer.byteLength(pattern)) };
}

/** Of a call that `isRegexp`. */
export function boundOfRegexp(call: SqlNode, pattern: string, params: Params | undefined): TextBound {
  const name = nameAt(call, 'function_name');
  const children = nodesAt(call, 'children');
  const optionsNode = children[regexps.get(name) ?? 0];
  const options = optionsNode ? (patternText(optionsNode, params) ?? 'gm') : '';
  const isReplace = name === 'regexp_replace';
  const takes = name.startsWith('regexp_extract')
    ? namesGroup(children[2])
    : isReplace && takesGroup(children[2], params);
  const bytesMax = textBytesFor(pattern, {
    isGlobal: isReplace ? options.includes('g') : !singles.has(name),
    hasGroups: takes && pattern.includes('('),
    isFull: name === 'regexp_full_match',
    isByLine: /[^icsg]/.test(options),
  });
  return { ...free, bytesMax };
}

function namesGroup(group: SqlNode | undefined): boolean {
  if (group === undefined) return false;
  const constant = constantValue(group, { params: [], nowUs: 0 });
  return !(constant?.kind === 'number' && constant.number === 0);
}

function takesGroup(replacement: SqlNode | undefined, params: Params | undefined): boolean {
  const text = replacement && patternText(replacement, params);
  return text === undefined || /\\[1-9]/.test(text);
}
