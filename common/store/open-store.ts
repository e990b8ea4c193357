/**
 * Opens the store that the configuration names, and proves that its `putIfAbsent` is one before anything relies on it.
 *
 * The AWS SDK is loaded only for `s3://`: it costs some 25 MB of memory that a gateway with a folder does not have.
 */
import type { Clock } from '../clock.js';
import type { StoreConfig } from '../config/store-config.js';
import { FolderStore } from './folder-store.js';
import { provePutIfAbsent, type ProbeOptions } from './probe.js';
import type { Store } from './store.js';
import { isS3Url } from './store-url.js';

export interface OpenStoreOptions extends ProbeOptions {
  readonly clock?: Clock;
  /** As in `FolderStoreOptions`. */
  readonly mayCreate?: boolean;
}

/** @throws Failure `store_without_put_if_absent`, and any failure of reaching the store */
export async function openStore(config: StoreConfig, options: OpenStoreOptions): Promise<Store> {
  const store = await openUnprovenStore(config, options);
  try {
    await provePutIfAbsent(store, options);
    return store;
  } catch (error) {
    store.close();
    throw error;
  }
}

/**
 * For who must start while the store cannot be reached: an `s3://` store opens without any request. Call
 * `provePutIfAbsent` before the first put that matters.
 */
export async function openUnprovenStore(config: StoreConfig, options: OpenStoreOptions): Promise<Store> {
  if (!isS3Url(config.url)) return await FolderStore.open(config.url, options);
  const { S3Store } = await import('./s3-store.js');
  return S3Store.open(config, { ...options, proof: options });
}
