/** S3: follows in the next commit. */
import type { Clock } from '../clock.js';
import type { StoreConfig } from '../config/store-config.js';
import { Failure } from '../errors.js';
import type { Store } from './store.js';

export const S3Store = {
  open(config: StoreConfig, options: { readonly clock?: Clock }): Store {
    throw new Failure('store_url_invalid', `${config.url} cannot be opened yet`, { facts: { ...options } });
  },
};
