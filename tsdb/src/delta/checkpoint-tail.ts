/**
 * What the commits after a checkpoint leave of it and add to it (PROTOCOL.md, "Action Reconciliation"). Holds the actions of
 * those commits, so their number is bounded by who uses it.
 */
import type { Action, Add, MetaData, Protocol, Remove, Txn } from './actions.js';

export class CheckpointTail {
  /** The last word on each path. */
  readonly #files = new Map<string, { add: Add } | { remove: Remove }>();
  readonly #transactions = new Map<string, Txn>();
  #metaData: MetaData | undefined;
  #protocol: Protocol | undefined;

  apply(actions: readonly Action[]): void {
    for (const action of actions) if ('remove' in action) this.#files.set(action.remove.path, action);
    for (const action of actions)
      if ('add' in action) this.#files.set(action.add.path, action);
      else if ('txn' in action) this.#transactions.set(action.txn.appId, action.txn);
      else if ('metaData' in action) this.#metaData = action.metaData;
      else if ('protocol' in action) this.#protocol = action.protocol;
  }

  get metaData(): MetaData | undefined {
    return this.#metaData;
  }

  get protocol(): Protocol | undefined {
    return this.#protocol;
  }

  paths(): Iterable<string> {
    return this.#files.keys();
  }

  appIds(): Iterable<string> {
    return this.#transactions.keys();
  }

  /** As a checkpoint has them: nothing changes data, and files that went before `removedAfterMs` are forgotten. */
  *actions(removedAfterMs: number): Generator<Action> {
    if (this.#protocol) yield { protocol: this.#protocol };
    if (this.#metaData) yield { metaData: this.#metaData };
    for (const txn of this.#transactions.values()) yield { txn };
    for (const action of this.#files.values())
      if ('add' in action) yield { add: { ...action.add, dataChange: false } };
      else if ((action.remove.deletionTimestamp ?? 0) > removedAfterMs)
        yield { remove: { ...action.remove, dataChange: false } };
  }
}
