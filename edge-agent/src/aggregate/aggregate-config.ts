/** `aggregate:` and `raw:` of a stream: what leaves the gateway besides, or instead of, its rows. */

export interface AggregateConfig {
  /** It writes its partials there, in the database of the stream. */
  readonly table: string;
  /** Width of its windows, aligned to 1970 UTC. */
  readonly everyMs: number;
  /** How long after its end a window is written. */
  readonly latenessMs: number;
}

export const rawChoices = ['ship', 'drop'] as const;
/** Whether the rows themselves leave the gateway. */
export type RawChoice = (typeof rawChoices)[number];
