/**
 * What the readers must find: rows of shipments, and the table that they make by the rules of the lake (DESIGN I7), worked
 * out here without any of its code.
 *
 * The values are chosen to be awkward: integers beyond 2^53, texts beyond Delta's 32 characters and beyond the basic plane,
 * nulls in tags, hundredths, and some that have more decimals than their field declares.
 */
import type { TestShipment, ShipmentRow } from '@varve/tsdb/ingest/lake.test.fixture.js';

/** A row as readers see it: texts of values, by column; null for null. */
export type ReadRow = Readonly<Record<string, string | null>>;

const minuteUs = 60_000_000;
const startUs = Date.parse('2026-03-01T18:00:00Z') * 1_000;
const devices = ['press-1', 'press-2', 'ofen-ü', '\u{1f321}-4'];
const rowsPerDevice = 12;

export const table = 'readings';
const types = {
  temperature: 'double',
  humidity: 'double',
  parts: 'long',
  running: 'boolean',
  note: 'string',
} as const;

/** The shipment with number `seq`: three hours of every device, one after the other. */
export function shipmentOf(seq: number, evolved = false): TestShipment {
  const rows = devices.flatMap((device, deviceIndex) =>
    Array.from({ length: rowsPerDevice }, (_, index): ShipmentRow => {
      const number = (seq * 7_919 + deviceIndex * 104_729 + index * 31) % 10_007;
      return {
        time: startUs + ((seq - 1) * rowsPerDevice + index) * 15 * minuteUs + 123_000,
        site: index % 5 === 0 ? null : `hall-${number % 3}`,
        device,
        temperature: number % 11 === 0 ? null : number % 41 === 0 ? 20 + number / 7 : number / 100,
        humidity: number % 13 === 0 ? null : number / 3,
        parts: number % 17 === 0 ? null : 9_007_199_254_740_993n + BigInt(number),
        running: number % 3 === 0 ? null : number % 2 === 0,
        note: number % 5 === 0 ? `${'langer Text ü\u{1f321} '.repeat(4)}${number}` : null,
        ...(evolved ? { pressure: number / 8 } : {}),
      };
    }),
  );
  return {
    table,
    seq,
    rows,
    tags: ['site', 'device'],
    types: evolved ? { ...types, pressure: 'double' } : types,
    decimals: { temperature: 2 },
  };
}

/** Readings of shipment `seq` that come once more, changed in one field and silent of the others. */
export function correctionOf(seq: number, corrected: number): TestShipment {
  const { rows, ...shipment } = shipmentOf(corrected);
  return {
    ...shipment,
    seq,
    types: { humidity: 'double' },
    decimals: {},
    rows: rows.slice(5, 25).map(({ time, site = null, device = null }, index) => ({
      ...{ time, site, device },
      humidity: index + 0.5,
    })),
  };
}

/** The table, by the rule: one row per (tags, time), the last write wins field by field, and null erases nothing. */
export class ModelTable {
  readonly #rows: ReadonlyMap<string, ShipmentRow>;

  constructor(rows: ReadonlyMap<string, ShipmentRow> = new Map()) {
    this.#rows = rows;
  }

  with({ rows }: Pick<TestShipment, 'rows'>): ModelTable {
    const all = new Map(this.#rows);
    for (const row of rows) {
      const key = JSON.stringify([row.time, row['site'], row['device']]);
      const values = Object.entries(row).filter(([, value]) => value !== null);
      all.set(key, { ...all.get(key), ...(Object.fromEntries(values) as ShipmentRow) });
    }
    return new ModelTable(all);
  }

  without(isDeleted: (row: ShipmentRow) => boolean): ModelTable {
    return new ModelTable(new Map([...this.#rows].filter(([, row]) => !isDeleted(row))));
  }

  rows(): ReadRow[] {
    return [...this.#rows.values()].map((row) =>
      Object.fromEntries(Object.entries(row).map(([name, value]) => [name, textOf(value)])),
    );
  }
}

/** The same text for the same value, whoever read it. Integers come as texts: JSON's numbers are doubles. */
export function textOf(value: ShipmentRow[string] | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}
