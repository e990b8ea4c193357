/**
 * The tables that a request may see, as the same array for the same tables and the same `isVisible`: whoever knows more of an
 * array – its schema, statements over it, their plans – knows it the next time, too.
 */
import type { Snapshot } from '../delta/snapshot.js';

export type IsVisible = (snapshot: Snapshot) => boolean;

export class VisibleTables {
  /** Of the last state of the catalog; goes with who asked. */
  readonly #known = new WeakMap<
    IsVisible,
    { readonly all: readonly Snapshot[]; readonly visible: readonly Snapshot[] }
  >();

  of(all: readonly Snapshot[], isVisible: IsVisible | undefined): readonly Snapshot[] {
    if (!isVisible) return all;
    const known = this.#known.get(isVisible);
    if (known?.all === all) return known.visible;
    const visible = all.every(isVisible) ? all : all.filter(isVisible);
    this.#known.set(isVisible, { all, visible });
    return visible;
  }
}
