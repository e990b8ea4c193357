/**
 * `reduce:` of a stream: which rows say nothing new, and need not be shipped. A row leaves when any of its fields says
 * something new, and then whole, as it came. A field without a rule says something new when it changes.
 */
export type FieldRule =
  /** A value is new when it differs from the last one shipped by more than that. */
  | { readonly kind: 'deadband'; readonly absolute: number }
  /** By more than that share of the last one shipped. */
  | { readonly kind: 'deadband'; readonly share: number }
  /** Straight lines between the values that are shipped pass all others within that distance. */
  | { readonly kind: 'swinging_door'; readonly deviation: number };

export interface ReduceConfig {
  /** By column. */
  readonly rules: ReadonlyMap<string, FieldRule>;
  /** So often a series ships a row in any case, so that sameness and silence differ. */
  readonly heartbeatMs: number;
}
