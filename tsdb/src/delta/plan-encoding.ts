/**
 * How a data file is encoded. Pure; measured by `npm run bench -- lake-size`.
 *
 * DuckDB has two settings for all columns of a file: the version of the format, and how many distinct values a column of a
 * row group may have to get a dictionary. Without a dictionary, version 2 writes integers and decimals as
 * DELTA_BINARY_PACKED, which is what `time` (0.002 bytes a row, where a dictionary takes 0.7) and decimals (0.5 a value,
 * where a dictionary takes 1.3) need; but doubles as BYTE_STREAM_SPLIT, which takes 3.4 bytes of a random walk in hundredths,
 * where a dictionary takes 1.3, and which Spark before 4.0 does not read. So
 *
 * 1. `time` never has a dictionary; the limit stays below the number of distinct times.
 * 2. Doubles have one if they can. A file with a double that has too many values for one is of version 1, where it is PLAIN.
 * 3. Decimals have none, unless doubles in the same file need a higher limit than that.
 * 4. Tags and strings have one as far as the others allow.
 */

export const rowGroupRows = 122_880;
/** DuckDB's own limit for a row group of this size. */
const dictionaryValuesMax = rowGroupRows / 5;
/** Counts are estimates: this much away from them is safe. */
const margin = 0.8;

/** Estimates of the distinct values of each column, in all of the file. */
export interface DistinctCounts {
  readonly rows: number;
  /** Exact. */
  readonly times: number;
  readonly strings: readonly number[];
  readonly doubles: readonly number[];
  readonly decimals: readonly number[];
}

export interface Encoding {
  readonly parquetVersion: 'v1' | 'v2';
  readonly dictionaryValuesMax: number;
  /** Level 9 takes 10 % less of plain doubles than 3, 3 % less of others, 1 % less of decimals, and half as much time again. */
  readonly zstdLevel: 3 | 9 | 15;
}

export function planEncoding(
  { rows, times, strings, doubles, decimals }: DistinctCounts,
  isLasting: boolean,
): Encoding {
  const ceiling = Math.max(0, Math.min(times - 1, dictionaryValuesMax));
  const belowDecimals = Math.min(ceiling, ...decimals.map((count) => Math.floor(count * margin)));
  const zstdLevel = isLasting && rows >= rowGroupRows ? 9 : 3;
  const neededByDoubles = Math.ceil(Math.max(0, ...doubles) / margin);
  if (neededByDoubles <= belowDecimals) {
    const neededByStrings = Math.ceil(Math.max(0, ...strings) / margin);
    const needed = Math.max(neededByDoubles, neededByStrings);
    const limit = decimals.length > 0 ? Math.min(belowDecimals, needed) : ceiling;
    return { parquetVersion: 'v2', dictionaryValuesMax: limit, zstdLevel };
  }
  // One of the row groups has at least its share of the values. Where that does not settle it, it is seen when they are written.
  const rowGroups = Math.ceil(rows / rowGroupRows);
  const isHopeless = (neededByDoubles * margin * margin) / rowGroups > ceiling;
  return { parquetVersion: isHopeless ? 'v1' : 'v2', dictionaryValuesMax: ceiling, zstdLevel };
}
