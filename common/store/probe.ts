/**
 * Proves that a store's `putIfAbsent` is one, before anything relies on it (DESIGN I6). There are S3 servers that answer
 * "not implemented", that ignore the condition and overwrite, and that let several concurrent puts win; only trying
 * finds the last two.
 *
 * 1. On a fresh key, two puts one after the other: `created`, then `exists`, and the object is the first's.
 * 2. On another fresh key, eight at once: exactly one `created`, and the object is that one's.
 * 3. Delete both objects.
 *
 * Who may only put (an agent) cannot read the objects back: the outcomes alone are judged. And where it may not delete
 * either, two objects of some 60 bytes stay behind per proof.
 */
import { randomUUID } from 'node:crypto';
import { Failure, isFailure } from '../errors.js';
import type { Store } from './store.js';

/** What the credentials at hand may do: everything, or only put below the agent's own prefixes. */
export type StoreAccess = 'full' | 'put-only';

export interface ProbeOptions {
  readonly access: StoreAccess;
  /** Makes a key that is used for nothing else: `probeKey`, or `agentProbeKey` of one agent. */
  readonly probeKey: (uuid: string) => string;
}

/** The part of a store that a proof needs. */
export type ProvableStore = Pick<Store, 'url' | 'putIfAbsent' | 'get' | 'delete'>;

/** What was seen when several bodies were put to one fresh key. */
export interface Trial {
  readonly puts: 'one after the other' | 'at once';
  /** In the order of the bodies. */
  readonly outcomes: readonly ('created' | 'exists')[];
  /** Which body the store holds afterwards, -1 for none of them. Absent where it cannot be read. */
  readonly holds?: number;
}

const concurrentPutCount = 8;
const encoder = new TextEncoder();

/** @throws Failure `store_without_put_if_absent`; any other failure means that nothing is proven yet: try again */
export async function provePutIfAbsent(store: ProvableStore, options: ProbeOptions): Promise<void> {
  const sequenceKey = options.probeKey(randomUUID());
  const raceKey = options.probeKey(randomUUID());
  const keys = [sequenceKey, raceKey];
  try {
    requireSound(store, await putInSequence(store, sequenceKey, options.access));
    requireSound(store, await putAtOnce(store, raceKey, options.access));
  } catch (error) {
    // Why nothing is proven says more than why it could not be tidied up.
    await store.delete(keys).catch(() => undefined);
    throw error;
  }
  await deleteProbes(store, keys, options.access);
}

/** What is wrong with a trial, in words; undefined when it is as it must be. */
export function judgeTrial({ puts, outcomes, holds }: Trial): string | undefined {
  const described = `of ${outcomes.length} puts ${puts}`;
  const createdCount = outcomes.filter((outcome) => outcome === 'created').length;
  if (createdCount !== 1) return `${described}, ${createdCount} were told that they created the object`;
  const winner = outcomes.indexOf('created');
  if (puts === 'one after the other' && winner !== 0)
    return `${described}, number ${winner + 1} was told that it created the object`;
  if (holds === undefined || holds === winner) return undefined;
  const held = holds === -1 ? 'what none of them wrote' : `what number ${holds + 1} wrote`;
  return `${described}, number ${winner + 1} created the object, and it holds ${held}`;
}

function requireSound(store: ProvableStore, trial: Trial): void {
  const fault = judgeTrial(trial);
  if (fault === undefined) return;
  throw new Failure('store_without_put_if_absent', `${store.url} does not keep "put if absent": ${fault}`, {
    hint: 'use a store that honours If-None-Match: * on PutObject – AWS S3, Cloudflare R2, Ceph, MinIO – or a folder',
    facts: { ...trial },
  });
}

async function putInSequence(store: ProvableStore, key: string, access: StoreAccess): Promise<Trial> {
  const bodies = makeBodies(key, 2);
  const outcomes: ('created' | 'exists')[] = [];
  for (const body of bodies) outcomes.push(await store.putIfAbsent(key, body));
  return { puts: 'one after the other', outcomes, ...(await readBack(store, key, bodies, access)) };
}

async function putAtOnce(store: ProvableStore, key: string, access: StoreAccess): Promise<Trial> {
  const bodies = makeBodies(key, concurrentPutCount);
  const settled = await Promise.allSettled(bodies.map((body) => store.putIfAbsent(key, body)));
  const outcomes = settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  return { puts: 'at once', outcomes, ...(await readBack(store, key, bodies, access)) };
}

function makeBodies(key: string, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => encoder.encode(`${key} body ${index + 1}`));
}

async function readBack(
  store: ProvableStore,
  key: string,
  bodies: readonly Uint8Array[],
  access: StoreAccess,
): Promise<{ holds?: number }> {
  if (access === 'put-only') return {};
  const stored = await store.get(key);
  return { holds: bodies.findIndex((body) => Buffer.compare(body, stored) === 0) };
}

/** The proof stands without it, but who should be able to delete and is not learns it now. */
async function deleteProbes(
  store: ProvableStore,
  keys: readonly string[],
  access: StoreAccess,
): Promise<void> {
  try {
    await store.delete(keys);
  } catch (error) {
    const isOrdinary = isFailure(error, 'store_unavailable') || access === 'put-only';
    if (!isFailure(error) || !isOrdinary) throw error;
  }
}
