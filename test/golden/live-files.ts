/**
 * A fold of a Delta log to its live files, whatever the table's columns and partitions are: what our log reader makes of a log
 * before our own tables' shape is asked for.
 */
import type { Action, Add } from '@varve/tsdb/delta/actions.js';
import { requireReadable } from '@varve/tsdb/delta/actions.js';
import type { LogFold } from '@varve/tsdb/delta/replay.js';

export interface LiveFiles {
  readonly version: number;
  /** Relative to the table, unescaped, in order. */
  readonly paths: readonly string[];
}

export class LiveFilesFold implements LogFold<LiveFiles> {
  readonly #table: string;
  readonly #paths = new Set<string>();
  version = -1;

  constructor(table: string) {
    this.#table = table;
  }

  begin(version: number, actions: readonly Action[]): void {
    this.apply(version, actions);
  }

  add({ path }: Add): void {
    this.#paths.add(path);
  }

  apply(version: number, actions: readonly Action[]): void {
    for (const action of actions)
      if ('protocol' in action) requireReadable(this.#table, action.protocol);
      else if ('remove' in action) this.#paths.delete(action.remove.path);
    for (const action of actions) if ('add' in action) this.add(action.add);
    this.version = version;
  }

  finish(): LiveFiles {
    return { version: this.version, paths: [...this.#paths].map(decodeURIComponent).sort() };
  }
}
