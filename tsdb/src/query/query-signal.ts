/**
 * The one signal that ends a query early, whoever wants that: the client, the clock, or the program that stops. Its
 * reason is the `Failure` to answer.
 */
import type { Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';

export interface QuerySignalOptions {
  /** Abort when nobody wants the answer any more. */
  readonly clients: readonly AbortSignal[];
  readonly stopping: AbortSignal;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

export interface QuerySignal {
  readonly signal: AbortSignal;
  /** Lets go of the timer and the listeners. */
  close(): void;
}

export function openQuerySignal({ clients, stopping, timeoutMs, clock }: QuerySignalOptions): QuerySignal {
  const ended = new AbortController();
  const controller = new AbortController();
  const abortWith = (failure: () => Failure) => () => controller.abort(failure());
  for (const client of clients) listen(client, ended.signal, abortWith(cancelled));
  listen(stopping, ended.signal, abortWith(stopped));
  const onTimeout = abortWith(() => timedOut(timeoutMs));
  void clock.sleep(timeoutMs, ended.signal).then(() => {
    if (!ended.signal.aborted) onTimeout();
  });
  return { signal: controller.signal, close: () => ended.abort() };
}

function listen(signal: AbortSignal, until: AbortSignal, onAbort: () => void): void {
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true, signal: until });
}

const cancelled = () => new Failure('query_cancelled', 'nobody wants the answer any more');

export const stopped = () => new Failure('stopping', 'the server stops', { hint: 'ask again in a moment' });

const timedOut = (timeoutMs: number) =>
  new Failure('query_timeout', `the query was not done after ${timeoutMs / 1_000} s`, {
    hint: 'ask for a shorter time or fewer tags, aggregate less finely, or allow a longer timeout',
  });

/** As `promise`, but no longer than until `signal` aborts: `onLate` then gets what comes too late. */
export async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  onLate: (value: T) => void,
): Promise<T> {
  const ended = new AbortController();
  const aborted = new Promise<never>((_, reject) =>
    listen(signal, ended.signal, () => reject(signal.reason as Failure)),
  );
  try {
    return await Promise.race([promise, aborted]);
  } catch (error) {
    if (signal.aborted) promise.then(onLate, () => undefined);
    throw error;
  } finally {
    ended.abort();
  }
}
