/**
 * Format `line_protocol`, InfluxDB's: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
 *
 *     measurement,tag=value,… field=1.5,count=42i,name="text" 1556813561098000000
 *
 * One line is one row; blank lines and lines that begin with `#` are none. A message is read whole or refused with the line.
 * Beyond the specification, as InfluxData's own libraries do it: spaces before and after a line and several between its
 * parts, `\r\n` at its end, and `\n`, `\r`, `\t` for these characters in names and tags, where they cannot stand themselves.
 * In string fields they can.
 *
 * Integers are exact to 64 bits. An unsigned integer that a signed one cannot hold is kept as text, exact.
 */
import { readText, Refusal, type Decode } from './decoder.js';
import type { DecodedRows, Scalar, ValueKind } from './decoded-rows.js';
import type { TimeUnit } from './time.js';

export interface LineProtocolOptions {
  /** Unit of the timestamps; absent: `ns`. */
  readonly precision?: Exclude<TimeUnit, 'rfc3339'> | undefined;
}

export function lineProtocolDecoder({ precision = 'ns' }: LineProtocolOptions = {}): Decode {
  return (payload, rows) => {
    const text = readText(payload);
    if (text === undefined) return new Refusal('not_line_protocol', 'the payload is not UTF-8');
    rows.timeUnit = precision;
    const problem = new LineReader(text, rows).readAll();
    if (problem !== undefined) return new Refusal('not_line_protocol', problem);
    return rows.rowCount === 0 && !rows.isOverfull
      ? new Refusal('no_rows', 'no line holds a point')
      : undefined;
  };
}

const newline = 10;
const carriageReturn = 13;
const space = 32;
const quote = 34;
const hash = 35;
const comma = 44;
const equals = 61;
const backslash = 92;

/** Reads from left to right. Every `read…` returns what is wrong, or undefined. */
class LineReader {
  readonly #text: string;
  readonly #rows: DecodedRows;
  #at = 0;
  #name = '';

  constructor(text: string, rows: DecodedRows) {
    this.#text = text;
    this.#rows = rows;
  }

  readAll(): string | undefined {
    while (this.#at < this.#text.length && !this.#rows.isOverfull) {
      const lineStart = this.#at;
      this.#skipSpaces();
      if (this.#code() === hash) this.#skipLine();
      else if (!this.#isLineEnd()) {
        const problem = this.#readPoint();
        if (problem !== undefined) return `line ${countLines(this.#text, lineStart)}: ${problem}`;
      }
      this.#skipLineEnd();
    }
    return undefined;
  }

  #readPoint(): string | undefined {
    this.#rows.beginRow();
    const problem = this.#readName(false);
    if (problem !== undefined) return `the measurement ${problem}`;
    const measurement = this.#name;
    while (this.#code() === comma) {
      const tagProblem = this.#readTag();
      if (tagProblem !== undefined) return tagProblem;
    }
    if (this.#code() !== space)
      return this.#isLineEnd() ? 'there are no fields' : `${this.#here()} where a space should be`;
    this.#skipSpaces();
    if (this.#isLineEnd()) return 'there are no fields';
    const fieldProblem = this.#readFields();
    if (fieldProblem !== undefined) return fieldProblem;
    return this.#readEnd(measurement);
  }

  #readTag(): string | undefined {
    this.#at++;
    const problem = this.#readName(true);
    if (problem !== undefined) return `the key of a tag ${problem}`;
    const key = this.#name;
    if (this.#code() !== equals) return `tag "${key}" has no value`;
    this.#at++;
    const valueProblem = this.#readName(true);
    if (valueProblem !== undefined) return `the value of tag "${key}" ${valueProblem}`;
    if (this.#code() === equals) return `tag "${key}" has an = in its value: write \\=`;
    this.#rows.add(key, 'tag', this.#name);
    return undefined;
  }

  #readFields(): string | undefined {
    for (;;) {
      const problem = this.#readName(true);
      if (problem !== undefined) return `the key of a field ${problem}`;
      const key = this.#name;
      if (this.#code() !== equals) return `field "${key}" has no value`;
      this.#at++;
      const valueProblem = this.#code() === quote ? this.#readString(key) : this.#readPlainValue(key);
      if (valueProblem !== undefined) return `field "${key}" ${valueProblem}`;
      if (this.#code() !== comma) return undefined;
      this.#at++;
    }
  }

  #readString(key: string): string | undefined {
    const start = ++this.#at;
    let hasEscapes = false;
    for (; this.#at < this.#text.length; this.#at++) {
      const code = this.#code();
      if (code === quote) break;
      if (code !== backslash) continue;
      hasEscapes = true;
      this.#at++;
    }
    if (this.#at >= this.#text.length) return 'has a text without a closing quote';
    const text = this.#text.slice(start, this.#at++);
    this.#rows.add(key, 'string', hasEscapes ? text.replace(/\\(["\\])/g, '$1') : text);
    return undefined;
  }

  #readPlainValue(key: string): string | undefined {
    const start = this.#at;
    while (!this.#isLineEnd() && this.#code() !== comma && this.#code() !== space) this.#at++;
    const text = this.#text.slice(start, this.#at);
    const value = parsePlainValue(text);
    if (value === undefined) return `is ${shorten(text)}: no number, boolean or quoted text`;
    this.#rows.add(key, kindOf(text, value), value);
    return undefined;
  }

  #readEnd(measurement: string): string | undefined {
    if (this.#code() !== space && !this.#isLineEnd())
      return `${this.#here()} where a comma or a space should be`;
    this.#skipSpaces();
    const start = this.#at;
    while (!this.#isLineEnd() && this.#code() !== space) this.#at++;
    const time = this.#text.slice(start, this.#at);
    this.#skipSpaces();
    if (!this.#isLineEnd()) return `${this.#here()} behind the timestamp`;
    if (time !== '' && !isTimestamp(time)) return `${shorten(time)} is no timestamp`;
    this.#rows.endRow(time === '' ? undefined : time, measurement);
    return undefined;
  }

  /** A measurement, key or tag value into `#name`: up to a comma, a space, the line's end or, with `endsAtEquals`, an =. */
  #readName(endsAtEquals: boolean): string | undefined {
    const start = this.#at;
    let hasEscapes = false;
    for (; this.#at < this.#text.length; this.#at++) {
      const code = this.#code();
      if (code === comma || code === space || code === newline) break;
      if (code === equals && endsAtEquals) break;
      if (code !== backslash || !isEscapable(this.#text.charCodeAt(this.#at + 1), endsAtEquals)) continue;
      hasEscapes = true;
      this.#at++;
    }
    if (this.#at === start) return 'is empty';
    const name = this.#text.slice(start, this.#at);
    this.#name = hasEscapes ? unescapeName(name, endsAtEquals) : name;
    return undefined;
  }

  #code(): number {
    return this.#text.charCodeAt(this.#at);
  }

  #isLineEnd(): boolean {
    const code = this.#code();
    if (code === carriageReturn) {
      const next = this.#text.charCodeAt(this.#at + 1);
      return next === newline || Number.isNaN(next);
    }
    return code === newline || Number.isNaN(code);
  }

  #skipSpaces(): void {
    while (this.#code() === space) this.#at++;
  }

  #skipLine(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#text.length : end;
  }

  #skipLineEnd(): void {
    if (this.#code() === carriageReturn) this.#at++;
    this.#at++;
  }

  #here(): string {
    return `there is ${shorten(this.#text.slice(this.#at, this.#at + 40))}`;
  }
}

const whitespaceOf: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function isEscapable(code: number, withEquals: boolean): boolean {
  if (code === comma || code === space) return true;
  // n, r, t
  return (withEquals && code === equals) || code === 110 || code === 114 || code === 116;
}

/** A backslash before anything else stands for itself, before another backslash too. */
function unescapeName(name: string, withEquals: boolean): string {
  const pattern = withEquals ? /\\([,= nrt])/g : /\\([, nrt])/g;
  return name.replace(pattern, (_, escaped: string) => whitespaceOf[escaped] ?? escaped);
}

function parsePlainValue(text: string): Scalar | undefined {
  switch (text) {
    case 't':
    case 'T':
    case 'true':
    case 'True':
    case 'TRUE':
      return true;
    case 'f':
    case 'F':
    case 'false':
    case 'False':
    case 'FALSE':
      return false;
  }
  if (text.endsWith('i')) return parseInteger(text.slice(0, -1), /^-?\d+$/);
  if (text.endsWith('u')) return parseUnsigned(text.slice(0, -1));
  if (!/^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return undefined;
  const number = Number(text);
  return Number.isFinite(number) ? number : undefined;
}

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

function parseInteger(digits: string, pattern: RegExp): Scalar | undefined {
  if (!pattern.test(digits)) return undefined;
  const number = Number(digits);
  // 0 and not -0, which a column of doubles would show.
  if (Number.isSafeInteger(number)) return number + 0;
  if (digits.length > 100) return undefined;
  const exact = BigInt(digits);
  return exact < int64Min || exact > int64Max ? undefined : exact;
}

function parseUnsigned(digits: string): Scalar | undefined {
  const value = parseInteger(digits, /^\d+$/);
  if (value !== undefined || !/^\d{1,100}$/.test(digits)) return value;
  return BigInt(digits) > uint64Max ? undefined : BigInt(digits).toString();
}

function kindOf(text: string, value: Scalar): ValueKind {
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'string') return 'string';
  return text.endsWith('i') || text.endsWith('u') ? 'long' : 'double';
}

function isTimestamp(text: string): boolean {
  if (!/^-?\d{1,30}$/.test(text)) return false;
  if (text.length < 19) return true;
  const exact = BigInt(text);
  return exact > int64Min && exact <= int64Max;
}

/** Of the place `at`, from 1. */
function countLines(text: string, at: number): number {
  let count = 1;
  for (let index = text.indexOf('\n'); index >= 0 && index < at; index = text.indexOf('\n', index + 1))
    count++;
  return count;
}

function shorten(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
