/**
 * Waits, after everything is healed, until what is under way has arrived. It gives up when nothing is under way any more
 * – all agents connected and empty, the inbox empty, the rows the same for a while – and after `drainLimitMs` in any case.
 */
import { systemClock } from '@varve/common/clock.js';
import { waitFor } from '../processes.js';
import { countOwned, countRows } from './check-rows.js';
import type { Plant } from './plant.js';
import type { Publishers } from './publishers.js';

export const drainLimitMs = 180_000;
/** Longer than the longest pause of an agent that seeks its broker. */
const idleLimitMs = 35_000;
const progressEveryMs = 10_000;

/** @throws when not everything arrives */
export async function drain(
  plant: Plant,
  publishers: Publishers,
  print: (line: string) => void,
): Promise<void> {
  let last = '';
  let changedMs = systemClock.monotonicMs();
  let saidMs = changedMs;
  await waitFor(
    'everything to arrive',
    async () => {
      const { found, isIdle, text } = await look(plant);
      const nowMs = systemClock.monotonicMs();
      if (!isIdle || text !== last) changedMs = nowMs;
      last = text;
      if (isIdle && found >= publishers.acknowledgedCount) return true;
      if (nowMs - changedMs > idleLimitMs)
        throw new Error(`nothing is under way any more: acked ${publishers.acknowledgedCount}, ${last}`);
      if (nowMs - saidMs > progressEveryMs) {
        saidMs = nowMs;
        print(`draining: acked ${publishers.acknowledgedCount}, ${last}`);
      }
      return false;
    },
    drainLimitMs,
    () => last,
  );
}

async function look(plant: Plant): Promise<{ found: number; isIdle: boolean; text: string }> {
  const [rows, owned, waiting, states] = await Promise.all([
    countRows((sql) => plant.query(sql)),
    countOwned((sql) => plant.query(sql)),
    plant.inboxWaiting(),
    plant.agentStates(),
  ]);
  const agents = states.map((state) =>
    state === undefined
      ? 'does not answer'
      : `${state.log.waiting_messages}+${state.outbox.shipments}+${state.losses.waiting_rows}`,
  );
  const lost = [...(owned?.values() ?? [])].reduce((sum, count) => sum + count, 0);
  const isConnected = states.every((state) => state?.sources['plant']?.connected === true);
  const isIdle = waiting === 0 && isConnected && agents.every((agent) => agent === '0+0+0');
  return {
    found: rows + lost,
    isIdle,
    text: `rows ${rows}, losses ${lost}, inbox ${waiting ?? '?'}, agents ${agents.join(', ')}`,
  };
}
