/**
 * The versions of a table that can still be read, as its log tells them.
 */
import type { TableName } from '@varve/common/contract/object-keys.js';
import type { Store } from '@varve/common/store/store.js';
import { listLog, type LogListing } from './log-listing.js';
import { listPins } from './pins.js';
import { readCommits } from './read-commits.js';

export interface TableVersion {
  readonly version: number;
  /** When the store took it. */
  readonly committedMs: number;
  readonly operation: string | undefined;
  readonly engine: string | undefined;
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly isPinned: boolean;
}

export interface VersionPage {
  /** Newest first. */
  readonly versions: readonly TableVersion[];
  /** The oldest that can be read, apart from pinned ones; undefined when there is none. */
  readonly oldest: number | undefined;
  readonly pinned: readonly number[];
}

/** At most `limit` of those before `before`. One request for each, and one list. */
export async function listVersions(
  store: Store,
  name: TableName,
  {
    limit,
    before = Number.POSITIVE_INFINITY,
  }: { readonly limit: number; readonly before?: number | undefined },
): Promise<VersionPage> {
  const listing = await listLog(store, name);
  const pins = await listPins(store, name);
  const oldest = oldestReadable(listing, pins);
  const shown = listing.commits
    .filter(({ version }) => version < before && (version >= (oldest ?? Infinity) || pins.has(version)))
    .slice(-limit);
  const modifiedMs = new Map(shown.map((commit) => [commit.version, commit.modifiedMs]));
  const versions: TableVersion[] = [];
  for await (const { version, actions } of readCommits(store, name, [...modifiedMs.keys()])) {
    const info = actions.find((action) => 'commitInfo' in action)?.commitInfo ?? {};
    versions.push({
      version,
      committedMs: modifiedMs.get(version) ?? Number.NaN,
      operation: textOf(info['operation']),
      engine: textOf(info['engineInfo']),
      metrics: (info['operationMetrics'] ?? {}) as Record<string, unknown>,
      isPinned: pins.has(version),
    });
  }
  return { versions: versions.reverse(), oldest, pinned: [...pins].sort((left, right) => left - right) };
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** The first from which every version can be read. */
export function oldestReadable(
  { commits, checkpoints }: LogListing,
  pins: ReadonlySet<number> = new Set(),
): number | undefined {
  if (commits[0]?.version === 0) return 0;
  return checkpoints.find(({ version }) => !pins.has(version))?.version ?? checkpoints.at(-1)?.version;
}
