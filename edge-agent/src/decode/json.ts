/**
 * Format `json`: an object is a row, an array of objects is several, and so are several documents on a line each
 * (newline-delimited JSON). With `rows: readings` the rows are the members of the array at that path, and what stands around
 * it belongs to each of them.
 *
 * Members of members get paths as names, `outer.inner`. Arrays and null hold no value of a field and are passed over.
 */
import { messageOf } from '@varve/common/errors.js';
import { readText, Refusal, type Decode } from './decoder.js';
import type { DecodedRows, Scalar } from './decoded-rows.js';

export interface JsonOptions {
  /** Path to the array whose members are the rows; absent: the document itself. */
  readonly rows?: string | undefined;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** Deeper is no reading, and recursion has an end. */
const depthMax = 16;
const tooDeep = new Refusal('too_deep', `members are nested more than ${depthMax} deep`);

export function jsonDecoder({ rows: rowsPath }: JsonOptions = {}): Decode {
  const rowsAt = rowsPath?.split('.');
  const paths = new PathNames();
  const addDocument = (document: unknown, rows: DecodedRows) =>
    rowsAt ? addAround(document, rowsAt, paths, rows) : addRows(document, paths, rows);
  return (payload, rows) => {
    const text = readText(payload);
    if (text === undefined) return new Refusal('not_json', 'not JSON: the payload is not UTF-8');
    if (text.trim() === '') return new Refusal('not_json', 'the payload is empty');
    const document = parseDocument(text);
    if (!(document instanceof Refusal)) return addDocument(document, rows);
    return text.includes('\n') ? addLines(text, document, addDocument, rows) : document;
  };
}

function parseDocument(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return new Refusal('not_json', `not JSON: ${messageOf(error)}`);
  }
}

/** `whole` is what is wrong with the text as one document: the answer, where its first line is no document either. */
function addLines(
  text: string,
  whole: Refusal,
  addDocument: (document: unknown, rows: DecodedRows) => Refusal | undefined,
  rows: DecodedRows,
): Refusal | undefined {
  let documentCount = 0;
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const document = parseDocument(line);
    if (document instanceof Refusal && documentCount === 0) return whole;
    const refusal = document instanceof Refusal ? document : addDocument(document, rows);
    if (refusal) return new Refusal(refusal.code, `line ${index + 1}: ${refusal.reason}`);
    documentCount++;
  }
  return undefined;
}

function addRows(document: unknown, paths: PathNames, rows: DecodedRows): Refusal | undefined {
  if (!Array.isArray(document)) return addRow(document, paths, rows);
  if (document.length === 0) return new Refusal('no_rows', 'the array is empty');
  for (let index = 0; index < document.length; index++) {
    const refusal = addRow(document[index], paths, rows);
    if (refusal) return new Refusal(refusal.code, `element ${index}: ${refusal.reason}`);
  }
  return undefined;
}

function addAround(
  document: unknown,
  rowsAt: readonly string[],
  paths: PathNames,
  rows: DecodedRows,
): Refusal | undefined {
  if (!isObject(document)) return notObject(document);
  let found: unknown = document;
  for (const part of rowsAt) found = isObject(found) && Object.hasOwn(found, part) ? found[part] : undefined;
  // Some send one reading as an object, and several as an array.
  if (typeof found !== 'object' || found === null)
    return new Refusal('no_rows', `"${rowsAt.join('.')}" is ${describe(found)}, not an array of readings`);
  rows.beginShared();
  const refusal = flatten(document, found, paths, rows);
  rows.endShared();
  return refusal ?? addRows(found, paths, rows);
}

function addRow(value: unknown, paths: PathNames, rows: DecodedRows): Refusal | undefined {
  if (!isObject(value)) return notObject(value);
  rows.beginRow();
  const refusal = flatten(value, undefined, paths, rows);
  rows.endRow();
  return refusal;
}

/** Every number, boolean and text in `object`, but for what is in `left`. */
function flatten(
  object: JsonObject,
  left: unknown,
  paths: PathNames,
  rows: DecodedRows,
  depth = 1,
): Refusal | undefined {
  if (depth > depthMax) return tooDeep;
  for (const key in object) {
    const value = object[key];
    const type = typeof value;
    if (type === 'number' || type === 'string' || type === 'boolean') {
      const name = depth === 1 ? key : paths.at(key).path;
      rows.add(name, type, value as Scalar);
    } else if (isObject(value) && value !== left) {
      const refusal = flatten(value, left, paths.at(key), rows, depth + 1);
      if (refusal) return refusal;
    }
  }
  return undefined;
}

/** Paths of members, put together once each. Beyond a number of them they are made anew each time. */
class PathNames {
  readonly path: string;
  readonly #below = new Map<string, PathNames>();

  constructor(path = '') {
    this.path = path;
  }

  at(key: string): PathNames {
    let below = this.#below.get(key);
    if (!below) {
      below = new PathNames(this.path === '' ? key : `${this.path}.${key}`);
      if (this.#below.size < 1_000) this.#below.set(key, below);
    }
    return below;
  }
}

function notObject(found: unknown): Refusal {
  return new Refusal('not_object', `expected a JSON object, found ${describe(found)}`);
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
