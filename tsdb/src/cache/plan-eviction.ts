/**
 * Which copies of data files the cache lets go.
 */

export interface EvictionCandidate {
  readonly key: string;
  readonly bytes: number;
  /** Queries and downloads that need it now. */
  readonly leases: number;
}

/**
 * The longest unused copies first, until the others fit into `bytesMax`. Copies in use stay, even where that leaves too
 * much: the next plan comes when their leases end.
 * @param copies in order of their last use, oldest first
 */
export function planEviction(
  copies: Iterable<EvictionCandidate>,
  bytesTotal: number,
  bytesMax: number,
): string[] {
  const evicted: string[] = [];
  let bytesLeft = bytesTotal;
  for (const { key, bytes, leases } of copies) {
    if (bytesLeft <= bytesMax) break;
    if (leases > 0) continue;
    evicted.push(key);
    bytesLeft -= bytes;
  }
  return evicted;
}
