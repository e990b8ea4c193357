/**
 * What a Parquet file's footer says (parquet-format, src/main/thrift/parquet.thrift): which bytes hold which column of which
 * row group, and what rows of each row group can be. Its bytes are kept, since most of them are written again as they are.
 *
 * A footer of which a part of the file cannot be made is undefined, and the file is read whole: nested or repeated columns, columns of
 * one name, encryption, columns in other files, byte ranges that overlap or lie outside the file, and whatever is not a footer.
 *
 * Bounds are taken from `min_value` and `max_value` alone, where the file says that its columns have the order of their
 * types: of texts, and of a `time` that is microseconds in UTC. Nothing else is known of a row group.
 */
import { timeColumnName } from '@varve/common/contract/columns.js';
import { layoutOf, packBounds, type BoundsLayout } from '../../delta/file-bounds.js';
import type { RowsExtent } from '../../delta/snapshot.js';
import {
  readBinary,
  readInteger,
  readList,
  readStruct,
  thrift,
  type Field,
  type Fields,
  type Span,
} from './thrift-compact.js';

/** At the end of a file: the footer's length in four bytes, and `PAR1`. */
export const tailBytes = 8;
const magic = Buffer.from('PAR1');

export interface ParquetFooter {
  /** The struct `FileMetaData`. */
  readonly bytes: Uint8Array;
  readonly columns: readonly FooterColumn[];
  readonly rowGroups: readonly RowGroup[];
}

export interface FooterColumn {
  /** In lower case, as DuckDB compares names. */
  readonly name: string;
  /** The struct `SchemaElement`. */
  readonly element: Span;
  readonly kind: 'text' | 'time' | 'other';
}

export interface RowGroup extends Omit<RowsExtent, 'day'> {
  readonly rowCount: number;
  /** In the order of the columns. */
  readonly chunks: readonly ColumnChunk[];
}

export interface ColumnChunk {
  /** Its pages, as bytes of the file. */
  readonly pages: Span;
  readonly uncompressedBytes: number;
  /** The struct `ColumnMetaData`, as bytes of the footer. */
  readonly metadata: Span;
}

/** Fields of parquet.thrift. */
export const fileMetaData = {
  version: 1,
  schema: 2,
  rowCount: 3,
  rowGroups: 4,
  createdBy: 6,
  columnOrders: 7,
  encryption: 8,
} as const;
export const schemaElement = {
  type: 1,
  repetition: 3,
  name: 4,
  childCount: 5,
  convertedType: 6,
  logicalType: 10,
} as const;
export const rowGroup = { columns: 1, byteSize: 2, rowCount: 3, compressedSize: 6 } as const;
export const columnChunk = { filePath: 1, fileOffset: 2, metadata: 3, crypto: 8, encrypted: 9 } as const;
export const columnMetaData = {
  uncompressedSize: 6,
  compressedSize: 7,
  dataPageOffset: 9,
  indexPageOffset: 10,
  dictionaryPageOffset: 11,
  statistics: 12,
} as const;
const statistics = { nullCount: 3, maxValue: 5, minValue: 6 } as const;

const physicalType = { int64: 2, byteArray: 6 } as const;
const repeated = 2;
const convertedType = { utf8: 0, timestampMicros: 10 } as const;
const logicalType = { string: 1, timestamp: 8 } as const;
const timestampType = { isAdjustedToUtc: 1, unit: 2 } as const;
const microseconds = 2;
const typeDefinedOrder = 1;

/** How long the footer is, by the last bytes of its file; undefined where they are not those of a Parquet file. */
export function footerLength(tail: Uint8Array): number | undefined {
  const end = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength).subarray(-tailBytes);
  return end.length === tailBytes && end.subarray(4).equals(magic) ? end.readUInt32LE(0) : undefined;
}

/** @param fileBytes how long the file is */
export function parseFooter(
  bytes: Uint8Array,
  fileBytes: number,
  within: RowsExtent,
): ParquetFooter | undefined {
  try {
    const file = readStruct(bytes, 0);
    if (file.has(fileMetaData.encryption)) return undefined;
    const columns = readColumns(bytes, file);
    if (columns === undefined) return undefined;
    const bounds = new BoundsReader(bytes, file, columns, within);
    const rowGroups = readList(bytes, required(file, fileMetaData.rowGroups), thrift.struct).map(
      ({ start }) => readRowGroup(bytes, start, columns.length, bounds),
    );
    const footer = { bytes, columns, rowGroups };
    return arePagesApart(footer, fileBytes - bytes.length - tailBytes) ? footer : undefined;
  } catch (error) {
    // Not a footer, or one of a kind that nobody knew when this was written.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function required(fields: Fields, id: number): Field {
  const field = fields.get(id);
  if (field === undefined) throw new RangeError(`field ${id} is missing`);
  return field;
}

function integerAt(bytes: Uint8Array, fields: Fields, id: number): number | undefined {
  const field = fields.get(id);
  return field && readInteger(bytes, field);
}

/** Undefined unless the schema is a flat list of columns, each at most once in a row, with names of their own. */
function readColumns(bytes: Uint8Array, file: Fields): FooterColumn[] | undefined {
  const [root, ...elements] = readList(bytes, required(file, fileMetaData.schema), thrift.struct);
  if (!root || integerAt(bytes, readStruct(bytes, root.start), schemaElement.childCount) !== elements.length)
    return undefined;
  const columns: FooterColumn[] = [];
  for (const element of elements) {
    const fields = readStruct(bytes, element.start);
    const isNested = (integerAt(bytes, fields, schemaElement.childCount) ?? 0) > 0;
    if (isNested || integerAt(bytes, fields, schemaElement.repetition) === repeated) return undefined;
    const name = Buffer.from(readBinary(bytes, required(fields, schemaElement.name)))
      .toString()
      .toLowerCase();
    columns.push({ name, element, kind: kindOf(bytes, fields, name) });
  }
  return new Set(columns.map(({ name }) => name)).size === columns.length ? columns : undefined;
}

function kindOf(bytes: Uint8Array, fields: Fields, name: string): FooterColumn['kind'] {
  const type = integerAt(bytes, fields, schemaElement.type);
  const converted = integerAt(bytes, fields, schemaElement.convertedType);
  const logical = fields.get(schemaElement.logicalType);
  const kinds = logical && readStruct(bytes, logical.start);
  if (type === physicalType.byteArray)
    return (kinds ? kinds.has(logicalType.string) : converted === convertedType.utf8) ? 'text' : 'other';
  if (type !== physicalType.int64 || name !== timeColumnName) return 'other';
  const timestamp = kinds?.get(logicalType.timestamp);
  const isUtc = kinds
    ? timestamp && isUtcMicros(bytes, timestamp)
    : converted === convertedType.timestampMicros;
  return isUtc ? 'time' : 'other';
}

function isUtcMicros(bytes: Uint8Array, timestamp: Field): boolean {
  const fields = readStruct(bytes, timestamp.start);
  const unit = required(fields, timestampType.unit);
  const isUtc = required(fields, timestampType.isAdjustedToUtc).type === thrift.true;
  return isUtc && readStruct(bytes, unit.start).has(microseconds);
}

function readRowGroup(bytes: Uint8Array, start: number, columnCount: number, bounds: BoundsReader): RowGroup {
  const fields = readStruct(bytes, start);
  const spans = readList(bytes, required(fields, rowGroup.columns), thrift.struct);
  if (spans.length !== columnCount) throw new RangeError('a row group has other columns than its file');
  const metadata: Fields[] = [];
  const chunks = spans.map((span): ColumnChunk => {
    const chunk = readStruct(bytes, span.start);
    const isElsewhere = [columnChunk.filePath, columnChunk.crypto, columnChunk.encrypted].some((id) =>
      chunk.has(id),
    );
    if (isElsewhere) throw new RangeError('a column chunk is encrypted or in another file');
    const own = required(chunk, columnChunk.metadata);
    const ownFields = readStruct(bytes, own.start);
    metadata.push(ownFields);
    return toChunk(bytes, own, ownFields);
  });
  const rowCount = readInteger(bytes, required(fields, rowGroup.rowCount));
  return { rowCount, chunks, ...bounds.of(metadata) };
}

function toChunk(bytes: Uint8Array, metadata: Span, fields: Fields): ColumnChunk {
  if (fields.has(columnMetaData.indexPageOffset)) throw new RangeError('index pages are not known');
  const dataStart = readInteger(bytes, required(fields, columnMetaData.dataPageOffset));
  const dictionaryStart = integerAt(bytes, fields, columnMetaData.dictionaryPageOffset) ?? 0;
  // Some writers leave a zero where there is no dictionary.
  const start = dictionaryStart > 0 ? Math.min(dictionaryStart, dataStart) : dataStart;
  const length = readInteger(bytes, required(fields, columnMetaData.compressedSize));
  return {
    pages: { start, end: start + length },
    uncompressedBytes: readInteger(bytes, required(fields, columnMetaData.uncompressedSize)),
    metadata: { start: metadata.start, end: metadata.end },
  };
}

/** Inside the file, between its first four bytes and the footer. */
function arePagesApart({ rowGroups }: ParquetFooter, pagesEnd: number): boolean {
  const all = rowGroups.flatMap(({ chunks }) => chunks.map(({ pages }) => pages));
  all.sort((left, right) => left.start - right.start);
  let end = magic.length;
  for (const pages of all) {
    if (pages.start < end || pages.end < pages.start) return false;
    end = pages.end;
  }
  return end <= pagesEnd;
}

/** What the statistics of row groups say. */
class BoundsReader {
  readonly #bytes: Uint8Array;
  readonly #columns: readonly FooterColumn[];
  readonly #within: RowsExtent;
  readonly #layout: BoundsLayout;
  readonly #hasOrder: boolean;

  constructor(bytes: Uint8Array, file: Fields, columns: readonly FooterColumn[], within: RowsExtent) {
    this.#bytes = bytes;
    this.#columns = columns;
    this.#within = within;
    const texts = columns.filter(({ kind }) => kind === 'text');
    this.#layout = layoutOf({ tags: texts.map(({ name }) => ({ name })), fields: [] });
    const orders = file.get(fileMetaData.columnOrders);
    const spans = orders ? readList(bytes, orders, thrift.struct) : [];
    this.#hasOrder =
      spans.length === columns.length &&
      spans.every(({ start }) => readStruct(bytes, start).has(typeDefinedOrder));
  }

  /** @param metadata `ColumnMetaData` of each column */
  of(metadata: readonly Fields[]): Omit<RowsExtent, 'day'> {
    const minValues: Record<string, string> = {};
    const maxValues: Record<string, string> = {};
    let { minTimeUs, maxTimeUs } = this.#within;
    for (const [index, { name, kind }] of this.#hasOrder ? this.#columns.entries() : []) {
      const field = metadata[index]?.get(columnMetaData.statistics);
      if (kind === 'other' || field === undefined) continue;
      const fields = readStruct(this.#bytes, field.start);
      const [min, max] = [statistics.minValue, statistics.maxValue].map((id) => fields.get(id));
      if (!min || !max) continue;
      if (kind === 'time') {
        minTimeUs = Math.max(minTimeUs, instantOf(readBinary(this.#bytes, min)) ?? minTimeUs);
        maxTimeUs = Math.min(maxTimeUs, instantOf(readBinary(this.#bytes, max)) ?? maxTimeUs);
        continue;
      }
      const [least, greatest] = [min, max].map((value) => textOf(readBinary(this.#bytes, value)));
      if (least === undefined || greatest === undefined) continue;
      minValues[name] = least;
      maxValues[name] = greatest;
    }
    const bounds = packBounds(this.#layout, { minValues, maxValues, nullCount: undefined }, false);
    return { minTimeUs, maxTimeUs, bounds };
  }
}

function instantOf(bytes: Uint8Array): number | undefined {
  if (bytes.length !== 8) return undefined;
  const value = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true));
  return Number.isSafeInteger(value) ? value : undefined;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A bound that was cut inside a character, or raised to what is none, is not known. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
