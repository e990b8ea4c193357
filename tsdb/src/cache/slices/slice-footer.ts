/**
 * The footer of a slice: the file's own (parquet.thrift, `FileMetaData`) with fewer row groups and columns. Pure.
 *
 * What still holds is copied byte for byte: types, encodings, statistics, who wrote the file. Where pages have moved, their offsets
 * are written anew. Left out is what speaks of the whole file, or of parts that a slice does not have: key-value metadata, page
 * indexes, bloom filters, the order of rows, and the numbers of row groups.
 */
import { columnChunk, columnMetaData, fileMetaData, rowGroup, schemaElement } from './parquet-fields.js';
import { chunksOf, type ColumnChunk, type ParquetFooter } from './parquet-footer.js';
import type { SlicePlan } from './plan-slice.js';
import {
  CompactWriter,
  readInteger,
  readList,
  readStruct,
  thrift,
  type Fields,
  type Span,
} from './thrift-compact.js';

/** Of `ColumnMetaData`: type, encodings, path, codec, values, both sizes; statistics, encoding statistics, size statistics. */
const copiedOfChunk = new Set([1, 2, 3, 4, 5, 6, 7, 12, 13, 16]);

/** @returns all bytes behind the pages: the footer, its length, and `PAR1` */
export function sliceFooter(footer: ParquetFooter, plan: SlicePlan): Uint8Array {
  const { bytes } = footer;
  const { columns } = plan.choice;
  const file = readStruct(bytes, 0);
  const out = new CompactWriter();
  out.beginStruct();
  copyField(out, bytes, file, fileMetaData.version);
  writeSchema(out, footer, file, columns);
  const rows = plan.choice.rowGroups.map((index) => footer.rowGroups[index]?.rowCount ?? 0);
  out.integerField(fileMetaData.rowCount, thrift.i64, sumOf(rows));
  out.listField(fileMetaData.rowGroups, thrift.struct, plan.choice.rowGroups.length);
  writeRowGroups(out, footer, plan);
  copyField(out, bytes, file, fileMetaData.createdBy);
  writeOrders(out, bytes, file, columns);
  out.endStruct();
  const metadata = out.finish();
  const whole = Buffer.alloc(metadata.length + 8);
  whole.set(metadata);
  whole.writeUInt32LE(metadata.length, metadata.length);
  whole.write('PAR1', metadata.length + 4);
  return whole;
}

function copyField(out: CompactWriter, bytes: Uint8Array, fields: Fields, id: number): void {
  const field = fields.get(id);
  if (field) out.copyField(id, bytes, field);
}

/** The root says how many columns follow. */
function writeSchema(
  out: CompactWriter,
  footer: ParquetFooter,
  file: Fields,
  columns: readonly number[],
): void {
  const { bytes } = footer;
  const [root] = listOf(bytes, file, fileMetaData.schema);
  out.listField(fileMetaData.schema, thrift.struct, 1 + columns.length);
  out.beginStruct();
  for (const [id, field] of root ? readStruct(bytes, root.start) : [])
    if (id === schemaElement.childCount) out.integerField(id, thrift.i32, columns.length);
    else out.copyField(id, bytes, field);
  out.endStruct();
  for (const index of columns) copyElement(out, bytes, footer.columns[index]?.element);
}

function writeRowGroups(out: CompactWriter, footer: ParquetFooter, { choice, pagesEnd }: SlicePlan): void {
  // As `planSlice` lays them out.
  let next = 4;
  for (const index of choice.rowGroups) {
    const group = footer.rowGroups[index];
    const all = group ? chunksOf(footer, group) : [];
    const chunks = choice.columns.flatMap((column) => all[column] ?? []);
    const compressed = sumOf(chunks.map(({ pages }) => pages.end - pages.start));
    out.beginStruct();
    out.listField(rowGroup.columns, thrift.struct, chunks.length);
    for (const chunk of chunks) {
      writeChunk(out, footer.bytes, chunk, next);
      next += chunk.pages.end - chunk.pages.start;
    }
    out.integerField(
      rowGroup.byteSize,
      thrift.i64,
      sumOf(chunks.map(({ uncompressedBytes }) => uncompressedBytes)),
    );
    out.integerField(rowGroup.rowCount, thrift.i64, group?.rowCount ?? 0);
    out.integerField(rowGroup.compressedSize, thrift.i64, compressed);
    out.endStruct();
  }
  if (next !== pagesEnd) throw new RangeError(`pages end at ${next}, not at ${pagesEnd}`);
}

function writeChunk(
  out: CompactWriter,
  bytes: Uint8Array,
  { pages, metadata }: ColumnChunk,
  newStart: number,
): void {
  const fields = readStruct(bytes, metadata.start);
  out.beginStruct();
  // The specification asks for 0 where nothing is written besides the footer.
  out.integerField(columnChunk.fileOffset, thrift.i64, 0);
  out.structField(columnChunk.metadata);
  for (const [id, field] of [...fields].sort(([left], [right]) => left - right)) {
    if (copiedOfChunk.has(id)) out.copyField(id, bytes, field);
    if (id !== columnMetaData.dataPageOffset && id !== columnMetaData.dictionaryPageOffset) continue;
    const offset = readInteger(bytes, field);
    // Of no dictionary some writers say that it is at 0.
    if (offset >= pages.start) out.integerField(id, thrift.i64, offset - pages.start + newStart);
  }
  out.endStruct();
  out.endStruct();
}

function writeOrders(out: CompactWriter, bytes: Uint8Array, file: Fields, columns: readonly number[]): void {
  if (!file.has(fileMetaData.columnOrders)) return;
  const orders = listOf(bytes, file, fileMetaData.columnOrders);
  out.listField(fileMetaData.columnOrders, thrift.struct, columns.length);
  for (const index of columns) copyElement(out, bytes, orders[index]);
}

function copyElement(out: CompactWriter, bytes: Uint8Array, element: Span | undefined): void {
  if (!element) throw new RangeError('a column is missing');
  out.copy(bytes, element);
}

function listOf(bytes: Uint8Array, fields: Fields, id: number): Span[] {
  const field = fields.get(id);
  return field ? readList(bytes, field, thrift.struct) : [];
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
