/**
 * The columns of a table (DESIGN §5.5): `time` first, then tags by name, then fields by name.
 *
 * Tags are strings and say which series a row belongs to; (tags, time) is a row's identity. Fields are values. All
 * columns but `time` are nullable.
 */

export const fieldTypes = ['double', 'long', 'boolean', 'string'] as const;
export type FieldType = (typeof fieldTypes)[number];

export const timeColumnName = 'time';
/** The Delta partition column: the UTC date of `time`. Last in every data file, absent from shipments. */
export const dayColumnName = 'day';

export interface Tag {
  readonly name: string;
  /** What the sensor called it, where folding changed that. */
  readonly originalName?: string;
  /** In a table, of a column that stands beside another, for values that do not fit there (`sideColumnName`): the other's name. */
  readonly sideOf?: string;
  /** Of such a column: whose value was the first that did not fit, and when it was committed. */
  readonly sideFrom?: { readonly agent: string; readonly sinceMs: number };
}

/**
 * A double with a declared resolution has at most that many decimals. Values that do not keep to it are allowed – they are
 * too large, or come from a stream that declares none –, so whoever relies on it looks at the values first.
 */
export const decimalsMax = 15;

export interface Field extends Tag {
  readonly type: FieldType;
  /** Of a double: its declared resolution, 0 to `decimalsMax`. Absent: none. */
  readonly decimals?: number;
}

/** Shape of a table or shipment without `time` and `day`, which every one has. Both lists are sorted by name. */
export interface TableColumns {
  readonly tags: readonly Tag[];
  readonly fields: readonly Field[];
}

/**
 * Where a value goes whose type differs from its column's: beside it, never away (DESIGN §7, "type of a field changes").
 * `temperature` holding doubles and a text makes `temperature` and `temperature__string`.
 */
export function sideColumnName(name: string, type: FieldType | 'tag'): string {
  return `${name}__${type}`;
}
