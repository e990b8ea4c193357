/**
 * Which of several tsdb on one store works: takes shipments in and keeps the tables up. The others answer queries, and wait.
 *
 * This is for liveness alone, so that they do not plan the same work and throw away each other's. Safety is the commits':
 * two that hold the lease at once only work against each other.
 *
 * 1. `ops/lease/<term>.json` is the lease's term, and its text says who holds it and how often it was renewed. The highest
 *    term counts. Whoever creates it, by put-if-absent, and then sees no higher one, holds it.
 * 2. The holder puts it again every `renewEveryMs`, and looks whether there is a higher term: then it has lost it.
 * 3. Somebody else reads it as often. When its text has not changed for `expiresMs` *by the waiting one's own monotonic
 *    clock*, its holder is dead, or as good as that, and the next term is created. No two clocks are compared, so none need be right.
 * 4. An orderly stop says `released`: the next look takes over. A process that starts again knows its own former term by
 *    `<data_dir>/lease-id`, which only one process at a time has, and waits for nothing.
 *
 * Two requests every four seconds, whether it holds the lease or waits.
 */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import { leaseKey, leasePrefix, parseLeaseTerm } from '@varve/common/contract/object-keys.js';
import { isFailure, messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { Gauge, type Registry } from '@varve/common/metrics.js';
import type { Loop } from '@varve/common/run-loops.js';
import type { Store } from '@varve/common/store/store.js';

const renewEveryMs = 4_000;
const expiresMs = 10_000;

export interface LeaseOptions {
  readonly store: Store;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
  /** False: it counts as held, and nothing is asked of the store. */
  readonly isNeeded?: boolean;
  readonly renewEveryMs?: number;
  readonly expiresMs?: number;
}

interface Seen {
  readonly term: number;
  readonly text: string;
  readonly sinceMs: number;
}

export class Lease {
  readonly #options: LeaseOptions;
  readonly #id: string;
  readonly #held: Gauge;
  readonly #isNeeded: boolean;
  readonly #renewEveryMs: number;
  readonly #expiresMs: number;
  #heldTerm: number | undefined;
  #renewals = 0;
  #renewedMs = 0;
  #seen: Seen | undefined;
  /** Aborts when the lease is lost; a new one for every term. */
  #lost = new AbortController();
  #won = new AbortController();

  private constructor(options: LeaseOptions, id: string) {
    this.#options = options;
    this.#id = id;
    this.#isNeeded = options.isNeeded ?? true;
    this.#renewEveryMs = options.renewEveryMs ?? renewEveryMs;
    this.#expiresMs = options.expiresMs ?? expiresMs;
    this.#held = new Gauge({
      name: 'varve_tsdb_lease_held',
      help: '1 while this process works on the store, 0 while another one does',
      registers: [options.registry],
    });
    this.#held.set(this.#isNeeded ? 0 : 1);
  }

  static async open(options: LeaseOptions): Promise<Lease> {
    const path = join(options.dataDir, 'lease-id');
    const known = await readFile(path, 'utf8').catch(() => '');
    const id = /^[0-9a-f-]{36}$/.test(known) ? known : randomUUID();
    if (id !== known) await writeFile(path, id);
    return new Lease(options, id);
  }

  /** A process that was frozen for long does not hold what it believes to hold. */
  get isHeld(): boolean {
    const { clock } = this.#options;
    if (!this.#isNeeded) return true;
    return this.#heldTerm !== undefined && clock.monotonicMs() - this.#renewedMs <= this.#expiresMs;
  }

  /** Takes, renews and watches the lease until `signal` aborts. The loops under it must have ended before `release`. */
  async run(signal: AbortSignal): Promise<void> {
    if (!this.#isNeeded) return;
    while (!signal.aborted) {
      try {
        await (this.#heldTerm === undefined ? this.#tryTake() : this.#renew(this.#heldTerm));
      } catch (error) {
        if (!isFailure(error)) throw error;
        this.#options.log.debug({ reason: messageOf(error) }, 'the lease could not be looked at');
      }
      if (this.#heldTerm !== undefined && !this.isHeld) this.#lose();
      await this.#options.clock.sleep(this.#renewEveryMs, signal);
    }
  }

  /** Runs `loop` while the lease is held, again whenever it comes back. */
  whileHeld(loop: Loop): Loop {
    if (!this.#isNeeded) return loop;
    return async (stop) => {
      while (!stop.aborted) {
        if (this.#heldTerm !== undefined) await loop(AbortSignal.any([stop, this.#lost.signal]));
        else await this.#options.clock.sleep(this.#renewEveryMs, AbortSignal.any([stop, this.#won.signal]));
      }
    };
  }

  /** Says that somebody else may take it now. Never throws: then it expires. */
  async release(): Promise<void> {
    const term = this.#heldTerm;
    if (term === undefined) return;
    this.#lose();
    const text = JSON.stringify({ holder: this.#id, released: true });
    await this.#options.store.put(leaseKey(term), Buffer.from(text)).catch(() => undefined);
  }

  async #tryTake(): Promise<void> {
    const found = await this.#look();
    if (found !== undefined && !this.#isFree(found)) return;
    const term = (found?.term ?? 0) + 1;
    const { store, clock, log } = this.#options;
    const startedMs = clock.monotonicMs();
    if ((await store.putIfAbsent(leaseKey(term), this.#text())) === 'exists') return;
    const terms = await this.#terms();
    if (terms.at(-1) !== term) return;
    await store.delete(terms.filter((older) => older < term).map(leaseKey));
    [this.#heldTerm, this.#renewedMs, this.#lost] = [term, startedMs, new AbortController()];
    this.#won.abort();
    this.#held.set(1);
    log.info({ term }, 'this process works on the store now');
  }

  /** The term that counts, as it stands now; since when it stands so. */
  async #look(): Promise<Seen | undefined> {
    const { store, clock } = this.#options;
    const term =
      this.#seen && !(await this.#hasNext(this.#seen.term)) ? this.#seen.term : (await this.#terms()).at(-1);
    if (term === undefined) return undefined;
    const text = await store.get(leaseKey(term)).then(
      (bytes) => Buffer.from(bytes).toString('utf8'),
      (error: unknown) => {
        if (!isFailure(error, 'object_missing')) throw error;
        // Taken away just now, because a higher one is there.
        return '';
      },
    );
    if (this.#seen?.term !== term || this.#seen.text !== text)
      this.#seen = { term, text, sinceMs: clock.monotonicMs() };
    return this.#seen;
  }

  async #hasNext(term: number): Promise<boolean> {
    return (await this.#options.store.head(leaseKey(term + 1))) !== undefined;
  }

  #isFree({ text, sinceMs }: Seen): boolean {
    const isOwn = text.includes(`"holder":"${this.#id}"`);
    const isReleased = text.includes('"released":true');
    return isOwn || isReleased || this.#options.clock.monotonicMs() - sinceMs >= this.#expiresMs;
  }

  async #renew(term: number): Promise<void> {
    const { store, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    if (await this.#hasNext(term)) {
      this.#lose();
      return;
    }
    this.#renewals += 1;
    await store.put(leaseKey(term), this.#text());
    this.#renewedMs = startedMs;
  }

  #lose(): void {
    this.#options.log.info({ term: this.#heldTerm }, 'this process works on the store no longer');
    this.#heldTerm = undefined;
    this.#seen = undefined;
    this.#won = new AbortController();
    this.#lost.abort();
    this.#held.set(0);
  }

  #text(): Uint8Array {
    return Buffer.from(JSON.stringify({ holder: this.#id, renewals: this.#renewals }));
  }

  /** In order. */
  async #terms(): Promise<number[]> {
    const terms: number[] = [];
    for await (const { key } of this.#options.store.list(leasePrefix)) {
      const term = parseLeaseTerm(key);
      if (term !== undefined) terms.push(term);
    }
    return terms;
  }

  status() {
    return { isHeld: this.isHeld, term: this.#heldTerm ?? this.#seen?.term };
  }
}
