/**
 * Whether requests need a token: not where only this machine can ask. Elsewhere they do, and a server that nobody could ask does not
 * start.
 */
import type { Clock } from '@varve/common/clock.js';
import { formatListenAddress, type ListenAddress } from '@varve/common/config/listen-address.js';
import { Failure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import { TokenBook } from './token-book.js';

export function isLoopback({ host }: ListenAddress): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Undefined where none are needed. @throws Failure `config_invalid` where there are none although they are needed */
export async function openTokens(
  { listen, insecure }: { readonly listen: ListenAddress; readonly insecure: boolean },
  store: Store,
  clock: Clock,
): Promise<TokenBook | undefined> {
  if (insecure || isLoopback(listen)) return undefined;
  const tokens = new TokenBook(store, clock);
  if ((await tokens.list()).length > 0) return tokens;
  throw new Failure('config_invalid', `listen is ${formatListenAddress(listen)}, and there is no token yet`, {
    hint: 'make one with "varve-tsdb token create --scope admin", listen on 127.0.0.1, or say insecure: true',
  });
}
