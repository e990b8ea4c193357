/**
 * How many bytes what a function makes has at most, by the bytes of its arguments. What a function that is not named here makes is
 * taken to be as large as its arguments together, or, where it makes numbers and times, as the largest of them.
 */
import { lengthFunctions, mostOf, stepsOf, textOf, type BytesOf } from './size-argument.js';
import { castOf, isNode, nodeAt, type SqlNode } from './sql-tree.js';

/** A number, a time, a boolean. */
export const numberBytes = 8;
/** What an aggregate gathers from rows, which DuckDB counts against its memory limit. */
const gatheredBytes = 256;
/** So that 9 KB to merge are what a row may have. */
const mergedShare = 1_400;
/** What DuckDB has for each item of a list of texts, besides long texts. */
export const itemBytes = 16;

export interface Call {
  readonly name: string;
  readonly nodes: readonly SqlNode[];
  /** Of each argument. */
  readonly bytes: readonly number[];
  readonly bytesOf: BytesOf;
}

/** Undefined where nothing in the text bounds it. */
type Rule = (call: Call) => number | undefined;

const together = ({ bytes }: Call) => bytes.reduce((sum, each) => sum + each, itemBytes);
const largest = ({ bytes }: Call) => Math.max(numberBytes, ...bytes);
const timesOther = ({ bytes: [left = 0, right = 0] }: Call) =>
  Math.max(numberBytes, (left * right) / itemBytes);
/** Each key of one is looked for among those of the others: two maps of 32 KB take 47 ms, which are refused, and of 4 KB less than 1 ms. */
const merged: Rule = (call) => Math.max(together(call), together(call) ** 2 / mergedShare);
const gathered: Rule = (call) => gatheredBytes + together(call);
const times =
  (factor: number): Rule =>
  (call) =>
    factor * together(call);
/** As many as the argument at this place says. */
const asManyAs =
  (place: number, eachBytes: (call: Call) => number): Rule =>
  (call) => {
    const count = call.nodes[place] && mostOf(call.nodes[place], call.bytesOf);
    return count === undefined ? undefined : count * eachBytes(call);
  };
/** Once for every `share` bytes of the second argument. */
const onceFor =
  (share: number): Rule =>
  ({ bytes: [first = 0, second = 0] }) =>
    first * Math.max(1, second / share);

const rules = new Map(
  (
    [
      // As many as an argument says.
      ['repeat', asManyAs(1, ({ bytes: [text = 0] }) => text)],
      ['lpad rpad', asManyAs(1, () => 4)], // a character's bytes, at most
      ['bitstring', asManyAs(1, () => 1)],
      ['list_resize array_resize', resizedBytes],
      ['equi_width_bins', asManyAs(2, () => numberBytes)],
      ['bar', () => 4_000], // DuckDB's own bound is 1,000 characters
      ['range generate_series', rangeBytes],
      ['format printf', formatBytes],

      // One argument for each part of another.
      ['replace', replaceBytes],
      ['regexp_replace', regexpReplaceBytes],
      [
        'list_aggregate list_aggr array_aggregate array_aggr aggregate array_to_string list_string_agg',
        joinBytes,
      ],
      ['concat_ws', concatBytes],
      ['list_select array_select', onceFor(numberBytes)],
      ['json_extract json_extract_path json_extract_string json_extract_path_text json_value', pathsBytes],
      ['json_pretty', ({ bytes: [json = 0] }) => json * Math.max(1, json / itemBytes)],
      // What they take on the way, of memory or time.
      ['levenshtein damerau_levenshtein editdist3 jaro_similarity jaro_winkler_similarity', timesOther],
      ['map_concat json_merge_patch', merged],
      // At every place of a text they may look at much of a pattern.
      ['~~ !~~ ~~* !~~* ~~~ like_escape not_like_escape ilike_escape not_ilike_escape', timesOther],

      // Longer than what it was.
      ['hex to_hex base64 to_base64 regexp_escape generate_subscripts', times(2)],
      ['url_encode list_zip array_zip', times(4)],
      ['bin to_binary to_json json_quote json_object json_array array_to_json row_to_json', times(8)],
      ['strftime', times(16)],
      [
        `string_split str_split string_to_array split string_split_regex str_split_regex regexp_split_to_array
         regexp_split_to_table regexp_extract_all parse_path json_keys json_structure`,
        times(2 * itemBytes),
      ],
      ['from_json from_json_strict json_transform json_transform_strict', structureBytes],

      // From many rows.
      [
        `list array_agg string_agg group_concat listagg histogram histogram_exact approx_top_k json_group_array
         json_group_object bitstring_agg`,
        gathered,
      ],
      ['max min', (call) => (call.nodes.length > 1 ? gathered : largest)(call)],
      [
        'arg_max arg_min max_by min_by argmax argmin arg_max_null arg_min_null',
        (call) => (call.nodes.length > 2 ? gathered : largest)(call),
      ],

      [
        `${lengthFunctions} ascii unicode ord instr strpos position contains prefix suffix starts_with ends_with regexp_matches
         regexp_full_match hash json_array_length json_valid
         cardinality list_count list_sum list_avg list_contains list_has list_position list_indexof`,
        () => numberBytes,
      ],
      ['|| concat', ({ bytes }) => bytes.reduce((sum, each) => sum + each, 0)],
      // Of lists it is `||`.
      ['+ add', (call) => (largest(call) > itemBytes ? together : largest)(call)],
      ['unnest element_at list_extract array_extract list_element struct_extract map_extract', largest],
    ] satisfies [names: string, rule: Rule][]
  ).flatMap(([names, rule]) =>
    names
      .trim()
      .split(/\s+/)
      .map((name): [string, Rule] => [name, rule]),
  ),
);

/** @returns undefined where nothing in the text bounds it */
export function bytesMade(call: Call, isSmall: boolean): number | undefined {
  return (rules.get(call.name) ?? (isSmall ? largest : together))(call);
}

export function constantBytes(node: SqlNode): number {
  const value = nodeAt(node, 'value')?.['value'];
  if (typeof value === 'string') return Buffer.byteLength(value);
  return isNode(value) ? JSON.stringify(value).length : numberBytes;
}

const smallTypes = new Set(
  `BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT FLOAT DOUBLE DECIMAL DATE TIME
  TIMESTAMP TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS INTERVAL UUID`.split(/\s+/),
);

/** What is cast to text is longer then: numbers, the items of lists, bytes that are not printable. */
export function castBytes(node: SqlNode, bytes: number): number {
  const type = castOf(node)?.type ?? '';
  if (smallTypes.has(type) || / WITH TIME ZONE$/.test(type)) return numberBytes;
  const arrays = JSON.stringify(node['cast_type']).match(/"size":\d+/g) ?? [];
  const items = arrays.reduce((count, size) => count * Number(size.slice('"size":'.length)), 1);
  const longer = bytes <= itemBytes ? 2 * itemBytes : (type === 'VARCHAR' ? 4 : 8) * bytes;
  return arrays.length === 0 ? longer : Math.max(longer, items * itemBytes);
}

function rangeBytes({ nodes, bytesOf }: Call): number | undefined {
  const steps = stepsOf(nodes, bytesOf);
  return steps === undefined ? undefined : steps * numberBytes;
}

function resizedBytes({ nodes, bytes: [list = 0, , item = 0], bytesOf }: Call): number | undefined {
  const count = nodes[1] && mostOf(nodes[1], bytesOf);
  return count === undefined ? undefined : list + count * Math.max(itemBytes, item);
}

/** Widths that come as arguments (`{:{}}`, `%*d`) are unknown. */
function formatBytes({ nodes, bytes }: Call): number | undefined {
  const format = textOf(nodes[0]);
  const places = format?.match(/\{[^}]*|%[^a-z%]*/gi) ?? [];
  if (format === undefined || places.some((place) => /.\{|\*/.test(place))) return undefined;
  const widths = places.flatMap((place) => place.match(/\d+/g) ?? []);
  // As text a double has up to 309 digits.
  const longest = Math.max(320, ...bytes);
  return widths.reduce((sum, width) => sum + Number(width), format.length + places.length * longest);
}

function replaceBytes({ nodes, bytes: [text = 0, , replacement = 0] }: Call): number {
  const replaced = textOf(nodes[1]) ?? '';
  return Math.max(text, (text * replacement) / Math.max(1, Buffer.byteLength(replaced)));
}

/** `\0` in the replacement is all that was found. */
function regexpReplaceBytes({ nodes, bytes: [text = 0, , replacement = 0] }: Call): number {
  const copies = textOf(nodes[2])?.split('\\').length ?? 1 + replacement / 2;
  return text * copies + (text + 1) * replacement;
}

/** Numbers get longer as text, and a separator stands between any two items. */
function joinBytes({ bytes: [list = 0, ...others] }: Call): number {
  return 4 * list + (list / numberBytes) * Math.max(0, ...others);
}

function concatBytes(call: Call): number {
  const [separator = 0] = call.bytes;
  return together(call) + separator * (call.bytes.length + together(call) / itemBytes);
}

/** A list of paths has a value for each. */
function pathsBytes(call: Call): number | undefined {
  return call.nodes[1]?.['class'] === 'CONSTANT' ? together(call) : onceFor(itemBytes)(call);
}

/** Types of arrays have a size: `INT[100]`. */
function structureBytes(call: Call): number {
  const sizes = [...(textOf(call.nodes[1])?.matchAll(/\[(\d+)\]/g) ?? [])];
  return sizes.reduce((bytes, [, size]) => bytes * Math.max(1, Number(size)), 8 * together(call));
}
