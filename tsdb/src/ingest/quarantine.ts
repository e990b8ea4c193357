/**
 * Puts an inbox object aside: a copy, the reason beside it, and only then the original goes. Every step may be repeated.
 */
import { quarantineKey, quarantineReasonKey } from '@varve/common/contract/object-keys.js';
import type { Failure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';

export interface QuarantineCase {
  readonly key: string;
  readonly bytes: number;
  /** A local copy of the object. */
  readonly path: string;
  readonly failure: Failure;
}

export async function quarantine(
  store: Store,
  { key, bytes, path, failure }: QuarantineCase,
  nowMs: number,
): Promise<void> {
  const reason = {
    key,
    reason: failure.message,
    code: failure.code,
    at: new Date(nowMs).toISOString(),
    bytes,
  };
  // `exists` is an earlier try that got this far: the same key, the same bytes.
  await store.putIfAbsent(quarantineKey(key), { path });
  await store.putIfAbsent(quarantineReasonKey(key), Buffer.from(`${JSON.stringify(reason, null, 2)}\n`));
  await store.delete([key]);
}
