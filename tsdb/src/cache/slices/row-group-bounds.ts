/**
 * What rows a row group can have, by the statistics in its file's footer.
 *
 * Bounds are taken from `min_value` and `max_value` alone, where the file says that its columns have the order of their
 * types: of texts, and of a `time` that is microseconds in UTC. Nothing else is known of a row group.
 */
import { layoutOf, packBounds, type BoundsLayout } from '../../delta/file-bounds.js';
import type { RowsExtent } from '../../delta/snapshot.js';
import { columnMetaData, fileMetaData, statistics, typeDefinedOrder } from './parquet-fields.js';
import type { ColumnChunk, FooterColumn } from './parquet-footer.js';
import { readBinary, readList, readStruct, thrift, type Fields } from './thrift-compact.js';

/** What the statistics of row groups say. */
export class BoundsReader {
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

  /** @param chunks of each column */
  of(chunks: readonly ColumnChunk[]): Omit<RowsExtent, 'day'> {
    const minValues: Record<string, string> = {};
    const maxValues: Record<string, string> = {};
    let { minTimeUs, maxTimeUs } = this.#within;
    for (const [index, { name, kind }] of this.#hasOrder ? this.#columns.entries() : []) {
      const chunk = kind === 'other' ? undefined : chunks[index];
      const field = chunk && readStruct(this.#bytes, chunk.metadata.start).get(columnMetaData.statistics);
      if (field === undefined) continue;
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
