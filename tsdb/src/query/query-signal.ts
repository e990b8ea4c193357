/**
 * The one signal that ends a query early, whoever wants that: the client, the clock, or the program, by `abort`. Its
 * reason is the `Failure` to answer.
 */
import type { Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';

export interface QuerySignalOptions {
  /** Aborts when nobody wants the answer any more. */
  readonly client: AbortSignal;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

export interface QuerySignal {
  readonly signal: AbortSignal;
  /** Without a reason: the query was cancelled. */
  readonly abort: (failure?: Failure) => void;
  /** Lets go of the timer and the listeners. */
  close(): void;
}

export function openQuerySignal({ client, timeoutMs, clock }: QuerySignalOptions): QuerySignal {
  const controller = new AbortController();
  const forgetClient = listen(client, () => controller.abort(cancelled()));
  const callOff = clock.after(timeoutMs, () => controller.abort(timedOut(timeoutMs)));
  return {
    signal: controller.signal,
    abort: (failure = cancelled()) => controller.abort(failure),
    close: () => {
      forgetClient();
      callOff();
    },
  };
}

/**
 * @returns what ends it. Not by a signal: Node holds that one weakly, and a listener whose signal was collected before it
 * aborted stayed for ever.
 */
function listen(signal: AbortSignal, onAbort: () => void): () => void {
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
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
  return await new Promise<T>((resolve, reject) => {
    const end = listen(signal, () => reject(signal.reason as Failure));
    promise.then(
      (value) => {
        end();
        if (signal.aborted) onLate(value);
        else resolve(value);
      },
      (error: unknown) => {
        end();
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- whatever it is, it is handed on
        reject(error);
      },
    );
  });
}
