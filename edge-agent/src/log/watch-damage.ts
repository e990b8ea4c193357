/** The log, with damage that it meets reported, besides failing: the first time ends the agent's parts. */
import { Failure, isFailure } from '@varve/common/errors.js';
import type { Loop } from '@varve/common/run-loops.js';
import type { EdgeLog } from './edge-log.js';

export interface WatchedLog {
  readonly log: EdgeLog;
  /** Ends when stopped, or fails with the damage as soon as there is some. */
  readonly untilDamaged: Loop;
}

export function watchDamage(log: EdgeLog): WatchedLog {
  let report: (failure: Failure) => void = () => undefined;
  const damaged = new Promise<Failure>((resolve) => {
    report = resolve;
  });
  const watch = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (isFailure(error, 'log_corrupt')) report(error);
      throw error;
    }
  };
  return {
    log: {
      opened: log.opened,
      append: (blocks) => watch(log.append(blocks)),
      read: (fromSeq, bytesMax, clockBoot) => watch(log.read(fromSeq, bytesMax, clockBoot)),
      beginBoot: (id) => watch(log.beginBoot(id)),
      trustBoot: (trust) => watch(log.trustBoot(trust)),
      stage: (request) => watch(log.stage(request)),
      replace: (entry, losses) => watch(log.replace(entry, losses)),
      shippedLosses: (outboxId) => watch(log.shippedLosses(outboxId)),
      confirm: (outboxId, keepFromMs) => watch(log.confirm(outboxId, keepFromMs)),
      releaseKept: (messages) => watch(log.releaseKept(messages)),
      evict: (request) => watch(log.evict(request)),
      releaseRecent: () => watch(log.releaseRecent()),
      waitingLosses: () => watch(log.waitingLosses()),
      losses: () => watch(log.losses()),
      deadLetters: (limit) => watch(log.deadLetters(limit)),
      deadLettersFrom: (fromSeq, endSeq, limit) => watch(log.deadLettersFrom(fromSeq, endSeq, limit)),
      replayDeadLetters: (request) => watch(log.replayDeadLetters(request)),
      sizes: (waitingFromSeq) => watch(log.sizes(waitingFromSeq)),
      subscribed: (session) => watch(log.subscribed(session)),
      setSubscribed: (session, filters) => watch(log.setSubscribed(session, filters)),
      close: () => log.close(),
    },
    async untilDamaged(stop) {
      const stopped = new Promise<undefined>((resolve) => {
        if (stop.aborted) resolve(undefined);
        stop.addEventListener('abort', () => resolve(undefined), { once: true });
      });
      const failure = await Promise.race([damaged, stopped]);
      if (failure) throw failure;
    },
  };
}
