/**
 * Results of any length, a text a row, through a file that DuckDB writes and that is gone afterwards.
 *
 * Read through DuckDB's bindings, every text is a piece of foreign memory that the garbage collector must let go of: a million
 * of them take half a gigabyte for a while, and seconds. From a file they come a mebibyte at a time.
 */
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Failure, messageOf } from '@varve/common/errors.js';
import { SqlError, type Session } from './duckdb.js';
import { quoteText } from './sql-text.js';

const readBytes = 2 ** 20;
const lineFeed = 10;
/** Around a text in which it, or the delimiter, occurs. */
const quote = '\u0002';

/**
 * `text` is an expression over `relation`; it is never null. Line breaks in it become blanks. `path` is a name for the
 * file. @throws SqlError or Failure as `Session.run`, before the first row
 */
export async function* streamTexts(
  session: Session,
  { text, relation, path }: { readonly text: string; readonly relation: string; readonly path: string },
): AsyncGenerator<readonly string[]> {
  try {
    const rowCount = await session.run(`
      COPY (
        SELECT CASE WHEN contains(line, chr(10)) OR contains(line, chr(13)) THEN translate(line, chr(10) || chr(13), '  ') ELSE line END
        FROM (SELECT ${text} AS line FROM ${relation})
      ) TO ${quoteText(path)} (FORMAT csv, HEADER false, DELIMITER '\u0001', QUOTE '${quote}', ESCAPE '${quote}')`);
    let found = 0;
    for await (const lines of readLines(path)) {
      found += lines.length;
      yield lines.some(isQuoted) ? lines.map((line) => (isQuoted(line) ? unquote(line) : line)) : lines;
    }
    if (found !== rowCount) throw new SqlError(`${rowCount} rows have become ${found} lines`);
  } finally {
    await rm(path, { force: true });
  }
}

const isQuoted = (line: string) => line.startsWith(quote);

function unquote(line: string): string {
  return line.slice(1, -1).replaceAll(quote + quote, quote);
}

/** Whole lines, as many as a read brings. */
async function* readLines(path: string): AsyncGenerator<readonly string[]> {
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: readBytes }) as AsyncIterable<Buffer>) {
      const end = chunk.lastIndexOf(lineFeed);
      if (end < 0) {
        rest = Buffer.concat([rest, chunk]);
        continue;
      }
      yield Buffer.concat([rest, chunk.subarray(0, end)])
        .toString()
        .split('\n');
      rest = Buffer.from(chunk.subarray(end + 1));
    }
  } catch (cause) {
    throw new Failure('data_dir_unusable', `could not read ${path}: ${messageOf(cause)}`, { cause });
  }
}
