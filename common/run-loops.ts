/**
 * The loops of a program, side by side.
 */

/** Takes what it does in steps, and returns soon after `stop` aborts. */
export type Loop = (stop: AbortSignal) => Promise<void>;

/** Runs until `signal` aborts and all loops have ended. When one fails, that stops the others, and is thrown. */
export async function runLoops(signal: AbortSignal, loops: readonly Loop[]): Promise<void> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  const running = loops.map((loop) => loop(stop.signal));
  for (const end of running) end.catch(abort);
  const ends = await Promise.allSettled(running);
  signal.removeEventListener('abort', abort);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
