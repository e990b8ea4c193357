/**
 * What DuckDB says about a statement, as a `Failure` that a person can act on.
 *
 * With `errors_as_json` DuckDB throws a JSON text, sometimes after a prefix (`Parser Error: {…}`), with
 * `exception_type`, `exception_message`, and for many errors `position` and `candidates`.
 *
 * | exception_type        | code                                                              |
 * |-----------------------|-------------------------------------------------------------------|
 * | Parser                | sql_syntax                                                        |
 * | Out of Memory         | memory_limit_exceeded                                             |
 * | Permission            | sql_not_allowed                                                   |
 * | Invalid Input, of `bound-texts.ts` | sql_not_allowed                                      |
 * | INTERNAL, FATAL       | none: a fault that is not the statement's                         |
 * | any that names a data file | object_corrupt, or object_missing where it is gone           |
 * | everything else       | sql_invalid: names, types, values that cannot be converted, …     |
 */
import { Failure, isFailure, messageOf, type FailureCode } from '@varve/common/errors.js';
import { isTooLongText, tooLongHint } from './bound-texts.js';
import { positionOfByte, positionOfCharacter, type TextPosition } from './text-position.js';

interface DuckError {
  readonly type: string;
  readonly message: string;
  readonly offset: number | undefined;
  readonly candidates: readonly string[];
}

export interface SqlErrorContext {
  readonly sql: string;
  /** ASCII, before `sql` in the text that DuckDB got: places are those in `sql`. */
  readonly prefix?: string;
  /** Key of a data file by the local path that DuckDB reads. */
  readonly keyByPath?: ReadonlyMap<string, string>;
}

/** The failure behind an error of DuckDB; undefined where it is not one that a statement or a data file caused. */
export function toSqlFailure(error: unknown, context: SqlErrorContext): Failure | undefined {
  const duckError = parseDuckError(messageOf(error));
  if (duckError === undefined) return undefined;
  return fileFailure(duckError, context) ?? statementFailure(duckError, context);
}

/** True for errors after which DuckDB answers nothing any more. */
export function isFatal(error: unknown): boolean {
  return /"(INTERNAL|FATAL)"|(INTERNAL|FATAL) Error|database has been invalidated/.test(messageOf(error));
}

/** True for errors that a file of this machine may have caused that is not there any more. */
export function isMissingFile(error: unknown): boolean {
  return (
    isFailure(error, 'object_missing') ||
    /No files found|No such file|Cannot open file|Could not create directory/i.test(messageOf(error))
  );
}

function parseDuckError(text: string): DuckError | undefined {
  const start = text.indexOf('{"exception_type"');
  if (start === -1) return parsePlainError(text);
  try {
    const raw = JSON.parse(text.slice(start)) as Record<string, string | undefined>;
    return {
      type: raw['exception_type'] ?? '',
      message: raw['exception_message'] ?? '',
      offset: raw['position'] === undefined ? undefined : Number(raw['position']),
      candidates: raw['candidates']?.split(',') ?? [],
    };
  } catch {
    return undefined;
  }
}

/** A few errors of the bindings do not take part in `errors_as_json`. */
function parsePlainError(text: string): DuckError | undefined {
  const [, type, message] = /^(?:Failed to [a-z ]+: )?([A-Z][A-Za-z ]+) Error: ([^]*)$/.exec(text) ?? [];
  return type === undefined || message === undefined
    ? undefined
    : { type, message, offset: undefined, candidates: [] };
}

function statementFailure(error: DuckError, { sql, prefix = '' }: SqlErrorContext): Failure | undefined {
  if (['INTERNAL', 'FATAL', 'INTERRUPT'].includes(error.type)) return undefined;
  const code = isTooLongText(error.message) ? 'sql_not_allowed' : (codesByType[error.type] ?? 'sql_invalid');
  const { message, hint } = readable(error, code);
  const place =
    error.offset === undefined || error.offset < prefix.length
      ? {}
      : locate(sql, error.offset - prefix.length, error.type);
  const candidates = error.candidates.length > 0 ? { did_you_mean: error.candidates } : {};
  return new Failure(code, message, {
    ...(hint === undefined ? {} : { hint }),
    facts: { ...place, ...candidates },
  });
}

/** The parser counts characters, everything after it bytes. */
function locate(sql: string, offset: number, errorType: string): TextPosition {
  return errorType === 'Parser' ? positionOfCharacter(sql, offset) : positionOfByte(sql, offset);
}

const codesByType: Readonly<Record<string, FailureCode>> = {
  Parser: 'sql_syntax',
  'Out of Memory': 'memory_limit_exceeded',
  Permission: 'sql_not_allowed',
};

/** DuckDB's first line says what is wrong; its advice is for those who may change its settings. */
function readable(error: DuckError, code: FailureCode): { message: string; hint: string | undefined } {
  const [message = ''] = error.message.split('\n');
  if (code === 'memory_limit_exceeded') return tooLarge(message);
  if (isTooLongText(message)) return { message, hint: tooLongHint };
  return {
    message,
    hint: error.candidates.length > 0 ? `did you mean ${error.candidates.join(' or ')}?` : undefined,
  };
}

/** Blocks are offloaded to disk when there is no room for them in memory. */
function tooLarge(message: string): { message: string; hint: string } {
  const isOnDisk = message.startsWith('failed to offload');
  const [where, option] = isOnDisk ? ['room on disk', 'cache.disk'] : ['memory', 'cache.memory'];
  return {
    message: `the query needs more ${where} than it may use: ${message}`,
    hint: `aggregate or filter more, ask for a shorter time, or raise ${option}`,
  };
}

function fileFailure({ message }: DuckError, { keyByPath }: SqlErrorContext): Failure | undefined {
  for (const [, quoted = ''] of message.matchAll(/["']([^"'\n]+)["']/g)) {
    const key = keyByPath?.get(quoted);
    if (key === undefined) continue;
    const isGone = /No files found|No such file|Cannot open file/.test(message);
    return new Failure(
      isGone ? 'object_missing' : 'object_corrupt',
      isGone ? `there is no object ${key}, which its table needs` : `${key} cannot be read: ${message}`,
      { hint: 'restore the object from a backup; queries that do not need it work', facts: { key } },
    );
  }
  return undefined;
}
