/** Causes a planned fault, and mends it when its time is over. */
import { systemClock } from '@varve/common/clock.js';
import { damageDatabase } from './damage-database.js';
import type { Fault } from './plan-faults.js';
import { deleteDataDir, type Plant } from './plant.js';
import type { Supervised } from './supervised.js';

/** Returns, after it is mended, whether it could be caused. */
export async function causeFault(plant: Plant, fault: Fault): Promise<boolean> {
  const agent = plant.agents[fault.target];
  const tsdb = plant.tsdbs[fault.target];
  switch (fault.kind) {
    case 'kill agent':
      return down(agent?.program, fault, (program) => program.kill());
    case 'kill tsdb':
      return down(tsdb?.program, fault, (program) => program.kill());
    case 'stop agent':
      return down(agent?.program, fault, (program) => program.stop());
    case 'stop tsdb':
      return down(tsdb?.program, fault, (program) => program.stop());
    // Gently: Mosquitto itself forgets acknowledged messages on kill -9. Our promise begins at our acknowledgement.
    case 'broker restart':
      return down(plant.broker, fault, (program) => program.stop());
    case 'tsdb data_dir deleted':
      return down(tsdb?.program, fault, async (program) => {
        await program.kill();
        if (tsdb) deleteDataDir(tsdb);
      });
    case 'edge database damaged': {
      let isDamaged = false;
      await down(agent?.program, fault, async (program) => {
        await program.kill();
        isDamaged = agent !== undefined && damageDatabase(agent.dataDir, fault.chance);
      });
      return isDamaged;
    }
    case 'freeze agent':
      return freeze(agent?.program, fault);
    case 'freeze tsdb':
      return freeze(tsdb?.program, fault);
    case 'freeze broker':
      return freeze(plant.broker, fault);
    case 'network cut':
      agent?.network.cut();
      return true;
    case 'network down':
      return meanwhile(
        fault,
        () => agent?.network.setDown(true),
        () => agent?.network.setDown(false),
      );
    case 'edge disk full':
      return meanwhile(
        fault,
        () => agent?.disk?.fill(),
        () => agent?.disk?.empty(),
      );
    case 'clock step':
      return meanwhile(
        fault,
        () => agent?.clock?.set(stepSeconds(fault.chance)),
        () => agent?.clock?.set(0),
      );
    case 'store outage':
    case 'store full':
    case 'store slow':
    case 'store failing': {
      const wasCaused = (await plant.store.faults.get(fault.kind)?.()) ?? false;
      await systemClock.sleep(fault.lastsMs);
      await plant.store.heal();
      return wasCaused;
    }
  }
}

async function down(
  program: Supervised | undefined,
  { lastsMs }: Fault,
  end: (program: Supervised) => Promise<void>,
): Promise<boolean> {
  if (!program) return false;
  await end(program);
  await systemClock.sleep(lastsMs);
  program.start();
  return true;
}

async function freeze(program: Supervised | undefined, fault: Fault): Promise<boolean> {
  if (program?.isRunning !== true) return false;
  return meanwhile(
    fault,
    () => program.freeze(),
    () => program.thaw(),
  );
}

async function meanwhile({ lastsMs }: Fault, cause: () => void, mend: () => void): Promise<boolean> {
  cause();
  await systemClock.sleep(lastsMs);
  mend();
  return true;
}

/** Up to two days back or ahead. */
function stepSeconds(chance: number): number {
  return Math.round((chance - 0.5) * 4 * 86_400);
}
