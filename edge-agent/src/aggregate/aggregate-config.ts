/** `aggregate:` and `raw:` of a stream: what leaves the gateway besides, or instead of, its rows. */

export interface AggregateConfig {
  /** It writes its partials there, in the database of the stream. */
  readonly table: string;
  /** Width of its windows, aligned to 1970 UTC. */
  readonly everyMs: number;
  /** How long after its end a window is written. */
  readonly latenessMs: number;
  /** Absent: no sketches are made. */
  readonly quantiles?: QuantileConfig | undefined;
}

export interface QuantileConfig {
  /** What queries show; a sketch has all of them. */
  readonly shown: readonly number[];
  /** Columns that have a sketch; undefined: all of numbers. */
  readonly fields: ReadonlySet<string> | undefined;
}

/** Whether the rows themselves leave the gateway; or stay there, as messages, for so long. */
export type RawChoice = 'ship' | 'drop' | { readonly keepMs: number };
