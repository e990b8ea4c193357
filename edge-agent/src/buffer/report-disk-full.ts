/** The log, with every write that finds the disk full reported, besides failing. */
import { isFailure } from '@varve/common/errors.js';
import type { EdgeLog } from '../log/edge-log.js';

export function reportDiskFull(log: EdgeLog, report: (message: string) => void): EdgeLog {
  const watch = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (isFailure(error, 'disk_full')) report(error.message);
      throw error;
    }
  };
  return {
    ...log,
    append: (blocks) => watch(log.append(blocks)),
    stage: (request) => watch(log.stage(request)),
    trustBoot: (trust) => watch(log.trustBoot(trust)),
    confirm: (outboxId, keepFromMs) => watch(log.confirm(outboxId, keepFromMs)),
    releaseKept: (messages) => watch(log.releaseKept(messages)),
    setSubscribed: (session, filters) => watch(log.setSubscribed(session, filters)),
    evict: (request) => watch(log.evict(request)),
  };
}
