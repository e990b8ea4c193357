/**
 * The tokens there are, as `ops/tokens/<id>.json` in the store: `data_dir` may be deleted at any time, several tsdb share them,
 * and a token that is revoked anywhere is refused everywhere within `keptMs`.
 *
 * 1. The list is read again when it is older than `keptMs`. While the store does not answer, it is believed for `believedMs`; after
 *    that nobody is let in.
 * 2. A secret is hashed once and remembered by its SHA-256, right or wrong, so that a request costs microseconds.
 *
 * Bounds: `tokensMax`, `rememberedMax` secrets, one scrypt at a time with `waitingMax` in line.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '@varve/common/clock.js';
import { tokenKey, tokensPrefix } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import { Gate } from '../gate.js';
import {
  isSecretOf,
  makeToken,
  parseToken,
  readStoredToken,
  type NewToken,
  type StoredToken,
} from './token.js';

const keptMs = 10_000;
const believedMs = 10 * 60_000;
export const tokensMax = 1_000;
const rememberedMax = 2_000;
const waitingMax = 20;

type TokenStore = Pick<Store, 'list' | 'get' | 'putIfAbsent' | 'delete'>;

export class TokenBook {
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #hashing = new Gate(1, waitingMax);
  /** By SHA-256 of the token: whether the secret is that of the hash. */
  readonly #remembered = new Map<string, { readonly hash: string; readonly isRight: boolean }>();
  /** Of the minute that runs, by id. */
  readonly #counts = new Map<string, { readonly minute: number; count: number }>();
  #tokens: ReadonlyMap<string, StoredToken> = new Map();
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(store: TokenStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws Failure of the store */
  async list(): Promise<readonly StoredToken[]> {
    await this.#read();
    return [...this.#tokens.values()];
  }

  /** @returns the token's text, which is not kept. The put is its commit point. */
  async create(wanted: NewToken): Promise<{ readonly text: string; readonly id: string }> {
    if ((await this.list()).length >= tokensMax)
      throw new Failure('bad_param', `there are ${tokensMax} tokens already`, {
        hint: 'revoke some of them',
      });
    const { text, stored } = await makeToken(wanted);
    await this.#store.putIfAbsent(tokenKey(stored.id), Buffer.from(JSON.stringify(stored)));
    return { text, id: stored.id };
  }

  /** False where there is no such token. */
  async revoke(id: string): Promise<boolean> {
    const isKnown = (await this.list()).some((token) => token.id === id);
    if (isKnown) await this.#store.delete([tokenKey(id)]);
    return isKnown;
  }

  /**
   * The token of that text, if it may be used now; counts a request of it.
   * @throws Failure `unauthenticated`, `quota_exceeded`, `overloaded`, `store_unavailable`
   */
  async admit(text: string): Promise<StoredToken> {
    const parsed = parseToken(text);
    if (!parsed) throw unauthenticated('this is no token');
    await this.#refresh();
    const token = this.#tokens.get(parsed.id);
    if (!token || !(await this.#isRight(text, parsed.secret, token)))
      throw unauthenticated('the token is not known');
    if (token.expires !== null && Date.parse(token.expires) <= this.#clock.nowMs())
      throw unauthenticated(`the token has expired at ${token.expires}`);
    this.#count(token);
    return token;
  }

  async #isRight(text: string, secret: string, token: StoredToken): Promise<boolean> {
    const digest = createHash('sha256').update(text).digest('base64');
    const known = this.#remembered.get(digest);
    if (known?.hash === token.hash) return known.isRight;
    if (this.#hashing.isFull) throw new Failure('overloaded', 'too many tokens are being checked');
    const isRight = await this.#hashing.run(() => isSecretOf(secret, token));
    this.#remembered.set(digest, { hash: token.hash, isRight });
    for (const oldest of this.#remembered.keys())
      if (this.#remembered.size > rememberedMax) this.#remembered.delete(oldest);
    return isRight;
  }

  #count({ id, requests_per_minute: most }: StoredToken): void {
    if (most === null) return;
    const nowMs = this.#clock.monotonicMs();
    const minute = Math.floor(nowMs / 60_000);
    let counted = this.#counts.get(id);
    if (counted?.minute !== minute) this.#counts.set(id, (counted = { minute, count: 0 }));
    if (counted.count >= most)
      throw new Failure('quota_exceeded', `the token may send ${most} requests a minute`, {
        hint: 'ask less often, or for more at once',
        retryAfterMs: (minute + 1) * 60_000 - nowMs,
      });
    counted.count += 1;
  }

  async #refresh(): Promise<void> {
    const ageMs = this.#clock.monotonicMs() - this.#readAtMs;
    if (ageMs < keptMs) return;
    try {
      await this.#read();
    } catch (error) {
      if (ageMs > believedMs || !isFailure(error)) throw error;
    }
  }

  async #read(): Promise<void> {
    this.#reading ??= this.#readAll().finally(() => (this.#reading = undefined));
    await this.#reading;
  }

  async #readAll(): Promise<void> {
    const readAtMs = this.#clock.monotonicMs();
    const tokens = new Map<string, StoredToken>();
    for await (const { key } of this.#store.list(tokensPrefix)) {
      const token = await this.#readOne(key);
      if (token && tokenKey(token.id) === key) tokens.set(token.id, token);
      if (tokens.size >= tokensMax) break;
    }
    this.#tokens = tokens;
    this.#readAtMs = readAtMs;
  }

  async #readOne(key: string): Promise<StoredToken | undefined> {
    try {
      return readStoredToken(await this.#store.get(key));
    } catch (error) {
      // Revoked since it was listed.
      if (isFailure(error, 'object_missing')) return undefined;
      throw error;
    }
  }
}

function unauthenticated(message: string): Failure {
  return new Failure('unauthenticated', message, {
    hint: 'send Authorization: Bearer varve_…; "varve-tsdb token create" makes a token',
  });
}
