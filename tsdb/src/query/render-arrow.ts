/**
 * An answer as an Arrow IPC stream: record batches of about `batchBytesMin`, so that a reader can begin with the first and has few of
 * them. Types: `arrow-columns.ts`.
 *
 * apache-arrow is loaded with the first such answer.
 */
import type * as Arrow from 'apache-arrow';
import { arrowColumn } from './arrow-columns.js';
import { jsonEncoder } from './json-values.js';
import type { Answer } from './query-answer.js';
import type { RenderOptions } from './render-text.js';

type Library = typeof Arrow;

/** Of a record batch, but of the last: DuckDB's batches of 2,048 rows are small for a reader, and each takes its own message. */
const batchBytesMin = 262_144;

/** The end of a stream (Arrow's IPC format, "Encapsulated message format"): a continuation and a length of 0. */
const endBytes = 8;

export async function* renderArrow(
  answer: Answer,
  { style, bytesMax }: RenderOptions,
): AsyncGenerator<Uint8Array> {
  const arrow = await import('apache-arrow');
  const columns = answer.columns.map(({ type }) => arrowColumn(arrow, type, jsonEncoder(type, style)));
  const schema = new arrow.Schema(
    answer.columns.map(
      ({ name }, index) => new arrow.Field(name, columns[index]?.type ?? new arrow.Null(), true),
    ),
  );
  const write = (batches: Arrow.RecordBatch[]) => writeStream(arrow, schema, batches);
  let [sentBytes, heldBytes, heldRows] = [0, 0, 0];
  /** The head goes with the first rows, for nothing must be sent while they may still fail; the end with the last. */
  const take = (isLast: boolean) => {
    const data = arrow.makeData({
      type: new arrow.Struct(schema.fields),
      length: heldRows,
      nullCount: 0,
      children: columns.map((column) => column.take()),
    });
    const bytes = write(heldRows === 0 ? [] : [new arrow.RecordBatch(schema, data)]);
    const headBytes = sentBytes === 0 ? 0 : write([]).length - endBytes;
    const piece = bytes.subarray(headBytes, isLast ? bytes.length : bytes.length - endBytes);
    [heldBytes, heldRows] = [0, 0];
    sentBytes += piece.length;
    return piece;
  };
  for await (const { rowCount, vectorAt } of answer.batches()) {
    heldRows += rowCount;
    for (const [index, column] of columns.entries()) heldBytes += column.append(vectorAt(index), rowCount);
    if (heldBytes < Math.min(batchBytesMin, bytesMax - sentBytes)) continue;
    yield take(false);
    if (sentBytes < bytesMax) continue;
    answer.cutOff();
    break;
  }
  yield take(true);
}

/** Schema, batches and end, as one piece. */
function writeStream(arrow: Library, schema: Arrow.Schema, batches: Arrow.RecordBatch[]): Uint8Array {
  const writer = new arrow.RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (const batch of batches) writer.write(batch);
  return writer.finish().toUint8Array(true);
}
