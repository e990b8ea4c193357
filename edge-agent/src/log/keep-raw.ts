/**
 * `raw: keep 7d` of streams: their messages stay in the log when nothing needs them any more, as long as that, or until the
 * buffer needs the room (`buffer-keeper.ts`).
 */
import type { StreamConfig } from '../decode/stream-config.js';
import type { EdgeLog } from './edge-log.js';

/** How long the longest keeper among the streams keeps; undefined: none does. */
export function findKeepMs(streams: readonly Pick<StreamConfig, 'raw'>[]): number | undefined {
  const times = streams.flatMap(({ raw }) => (typeof raw === 'object' ? raw.keepMs : []));
  return times.length === 0 ? undefined : Math.max(...times);
}

/** `nowMs` is undefined while the clock cannot be trusted: ages by it mean nothing, and nothing gets too old. */
export function keepRaw(log: EdgeLog, keepMs: number | undefined, nowMs: () => number | undefined): EdgeLog {
  if (keepMs === undefined) return log;
  const keepFromMs = (): number => (nowMs() ?? Number.NEGATIVE_INFINITY) - keepMs;
  return {
    ...log,
    confirm: (outboxId) => log.confirm(outboxId, keepFromMs()),
    stage: (request) => log.stage({ ...request, keepFromMs: keepFromMs() }),
  };
}
