/** Damage of the log, told to whoever reads the agent's own log and its numbers. */
import type { Logger } from '@varve/common/log.js';
import type { EdgeMetrics } from '../metrics.js';
import type { DamageListener } from './start-edge-log.js';

export interface DamageReporting {
  readonly logger: Logger;
  readonly metrics: Pick<EdgeMetrics, 'losses'>;
  /** There are new rows in the ledger. */
  readonly onLosses: () => void;
}

export function reportDamage({ logger, metrics, onLosses }: DamageReporting): DamageListener {
  return {
    onSalvage: (why) =>
      logger.error({ reason: why }, 'the edge database is damaged: what can be read is salvaged now'),
    onSalvaged({ epoch, isNewEpoch, blocks, messagesLost }) {
      metrics.losses.inc({ kind: 'set_aside' }, messagesLost);
      logger.error(
        { epoch, isNewEpoch, blocks, messagesLost },
        'the edge database was salvaged; table varve_losses says what is gone, data_dir/set-aside has the old one',
      );
    },
    onSetAside(losses) {
      onLosses();
      for (const { count, firstSeq, lastSeq, reason } of losses) {
        metrics.losses.inc({ kind: 'set_aside' }, count);
        logger.error(
          { firstSeq, lastSeq, messages: count, reason },
          'a damaged block of the log was set aside',
        );
      }
    },
  };
}
