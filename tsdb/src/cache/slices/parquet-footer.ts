/**
 * What a Parquet file's footer says (parquet-format, src/main/thrift/parquet.thrift): which bytes hold which column of which
 * row group, and what rows of each row group can be. Its bytes are kept, since most of them are written again as they are, and
 * little besides: footers stay in memory.
 *
 * A footer of which a part of the file cannot be made is undefined, and the file is read whole: nested or repeated columns, columns of
 * one name, encryption, columns in other files, byte ranges that overlap or lie outside the file, and whatever is not a footer.
 */
import { timeColumnName } from '@varve/common/contract/columns.js';
import type { RowsExtent } from '../../delta/snapshot.js';
import {
  columnChunk,
  columnMetaData,
  convertedType,
  fileMetaData,
  logicalType,
  microseconds,
  physicalType,
  repeated,
  rowGroup,
  schemaElement,
  timestampType,
} from './parquet-fields.js';
import { BoundsReader } from './row-group-bounds.js';
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

/** Its chunks: `chunksOf`. */
export interface RowGroup extends Omit<RowsExtent, 'day'> {
  readonly rowCount: number;
  /** The struct `RowGroup`, as bytes of the footer. */
  readonly span: Span;
}

export interface ColumnChunk {
  /** Its pages, as bytes of the file. */
  readonly pages: Span;
  readonly uncompressedBytes: number;
  /** The struct `ColumnMetaData`, as bytes of the footer. */
  readonly metadata: Span;
}

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
    const pages: Span[] = [];
    const rowGroups = readList(bytes, required(file, fileMetaData.rowGroups), thrift.struct).map((span) => {
      const { rowCount, chunks } = readRowGroup(bytes, span, columns.length);
      for (const chunk of chunks) pages.push(chunk.pages);
      return { rowCount, span, ...bounds.of(chunks) };
    });
    return areApart(pages, fileBytes - bytes.length - tailBytes) ? { bytes, columns, rowGroups } : undefined;
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

/** Of every column, in their order. */
export function chunksOf({ bytes, columns }: ParquetFooter, { span }: RowGroup): readonly ColumnChunk[] {
  return readRowGroup(bytes, span, columns.length).chunks;
}

function readRowGroup(
  bytes: Uint8Array,
  { start }: Span,
  columnCount: number,
): { rowCount: number; chunks: ColumnChunk[] } {
  const fields = readStruct(bytes, start);
  const spans = readList(bytes, required(fields, rowGroup.columns), thrift.struct);
  if (spans.length !== columnCount) throw new RangeError('a row group has other columns than its file');
  const rowCount = readInteger(bytes, required(fields, rowGroup.rowCount));
  return { rowCount, chunks: spans.map((span) => readChunk(bytes, span)) };
}

const otherPlaces = [columnChunk.filePath, columnChunk.crypto, columnChunk.encrypted];

function readChunk(bytes: Uint8Array, { start }: Span): ColumnChunk {
  const fields = readStruct(bytes, start);
  if (otherPlaces.some((id) => fields.has(id)))
    throw new RangeError('a column chunk is encrypted or in another file');
  const metadata = required(fields, columnChunk.metadata);
  return toChunk(bytes, metadata, readStruct(bytes, metadata.start));
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
function areApart(pages: readonly Span[], pagesEnd: number): boolean {
  let last = magic.length;
  for (const { start, end } of [...pages].sort((left, right) => left.start - right.start)) {
    if (start < last || end < start) return false;
    last = end;
  }
  return last <= pagesEnd;
}
