/**
 * What a table must hold, and the shipments that fill it: rows of eight days and four devices, in an order that a seed decides, some of
 * them again with another value, some deleted.
 *
 * A device's day that was deleted gets no more rows, so that the outcome does not hang on who was first.
 */
import { join } from 'node:path';
import { formatInboxKey, type InboxKey } from '@varve/common/contract/object-keys.js';
import { formatShipmentMetadata } from '@varve/common/contract/shipment.js';
import type { Store } from '@varve/common/store/store.js';
import type { Session } from '@varve/tsdb/delta/duckdb.js';
import { quoteText } from '@varve/tsdb/delta/sql-text.js';
import { wholeBetween, type Random } from '../torture/seeded-random.js';

export const table = 'climate';
const devices = ['a', 'b', 'c', 'd'];
const dayCount = 8;
const dayUs = 86_400_000_000;
const startUs = Date.parse('2026-03-01T00:00:00Z') * 1_000;
/** Of a day: few enough that rows meet older ones. */
const secondsMax = 2_000;
const rowsPerShipment = 200;

export interface Deletion {
  readonly device: string;
  readonly start: string;
  readonly end: string;
}

export class CrashModel {
  /** v by device and time. */
  readonly rows = new Map<string, number>();
  readonly #random: Random;
  readonly #deleted = new Set<string>();
  #seq = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Puts one more shipment into the inbox. */
  async ship(store: Store, session: Session, folder: string): Promise<void> {
    const values = new Map<string, number>();
    const day = pick(
      this.#random,
      Array.from({ length: dayCount }, (_, index) => index).filter((one) => this.#devicesOf(one).length > 0),
    );
    for (let index = 0; index < rowsPerShipment; index += 1) {
      const device = pick(this.#random, this.#devicesOf(day));
      const timeUs = startUs + day * dayUs + wholeBetween(this.#random, 0, secondsMax) * 1_000_000;
      values.set(`${device} ${timeUs}`, wholeBetween(this.#random, 0, 1_000_000));
    }
    this.#seq += 1;
    const key = { agent: 'crash', epoch: 'e1', lane: 'live', database: 'main', table, seq: this.#seq };
    await putShipment(store, session, join(folder, `${this.#seq}.parquet`), key, values);
    for (const [row, value] of values) this.rows.set(row, value);
  }

  /** Those whose day is not deleted: nothing is shipped into what is. */
  #devicesOf(day: number): string[] {
    return devices.filter((device) => !this.#deleted.has(`${device} ${day}`));
  }

  /** A device's day that is to go; the model lets it go at once. Undefined when most have gone. */
  planDeletion(): Deletion | undefined {
    const device = devices[wholeBetween(this.#random, 0, devices.length - 1)] ?? '';
    const day = wholeBetween(this.#random, 0, dayCount - 1);
    if (this.#deleted.size >= (devices.length * dayCount) / 2) return undefined;
    this.#deleted.add(`${device} ${day}`);
    const fromUs = startUs + day * dayUs;
    for (const row of this.rows.keys()) {
      const [rowDevice, time] = row.split(' ');
      if (rowDevice === device && Number(time) >= fromUs && Number(time) < fromUs + dayUs)
        this.rows.delete(row);
    }
    return { device, start: textOf(fromUs), end: textOf(fromUs + dayUs) };
  }

  /** As `select device, epoch_us(time), v … order by all` answers, a line per row. */
  lines(): string[] {
    return [...this.rows].map(([row, value]) => `${row} ${value}`).sort();
  }
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[wholeBetween(random, 0, items.length - 1)];
  if (item === undefined) throw new RangeError('there is nothing to pick from');
  return item;
}

function textOf(us: number): string {
  return new Date(us / 1_000).toISOString();
}

async function putShipment(
  store: Store,
  session: Session,
  path: string,
  key: InboxKey,
  values: ReadonlyMap<string, number>,
): Promise<void> {
  const metadata = formatShipmentMetadata({
    ...key,
    ...{ rowCount: values.size, tags: ['device'], originalNames: {}, firstLogSeq: 1, lastLogSeq: 1 },
  });
  const entries = [...metadata].map(([name, value]) => `${quoteText(name)}: ${quoteText(value)}`);
  const rows = [...values].map(([row, value]) => {
    const [device = '', time = ''] = row.split(' ');
    return `(make_timestamptz(${time}::BIGINT), ${quoteText(device)}, ${value}::DOUBLE)`;
  });
  await session.run(`
    COPY (SELECT * FROM (VALUES ${rows.join(', ')}) AS rows(time, device, v) ORDER BY device, time)
    TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {${entries.join(', ')}})`);
  await store.putIfAbsent(formatInboxKey(key), { path });
}
