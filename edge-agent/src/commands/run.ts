/** `varve-edge run` */
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { createLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { stopSignal } from '@varve/common/program.js';
import { runAgent } from '../agent.js';
import { readConfigInThread } from '../config-thread.js';
import { databaseFile } from '../log/start-edge-log.js';
import { runHealing } from '../run-healing.js';
import {
  addConfigOptions,
  addExamples,
  sourceOf,
  type ConfigOptions,
  type DefineCommand,
} from './command.js';

export const define: DefineCommand = (command, context) => {
  const { host, version } = context;
  addExamples(addConfigOptions(command), '--config edge.yaml --set ship.every=5s')
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .action(async (options: ConfigOptions & { logLevel: string }) => {
      const config = await readConfigInThread(sourceOf(options, context));
      const logger = await createLogger({
        program: 'varve-edge',
        level: options.logLevel,
        stream: host.stderr,
      });
      const random = () => Math.random();
      const signal = stopSignal(host);
      const run = (damage: string | undefined) => {
        const registry = createRegistry(() => host.memoryUsage.rss());
        return runAgent({ config, version, clock: systemClock, random, logger, registry, damage }, signal);
      };
      const databasePath = join(config.dataDir, databaseFile);
      await runHealing(run, { clock: systemClock, databasePath }, signal);
    });
};
