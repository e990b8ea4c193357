/** The log with its work counted: what an SD card lives on is how often and how much is written to it. */
import type { EdgeMetrics } from '../metrics.js';
import type { EdgeLog } from './edge-log.js';

/**
 * `fsync_total` counts transactions and shipment files, one each; `written_bytes_total` the bytes of messages and shipments
 * in them, without SQLite's own pages.
 */
export function countedLog(log: EdgeLog, metrics: Pick<EdgeMetrics, 'fsyncs' | 'writtenBytes'>): EdgeLog {
  return {
    ...log,
    async append(blocks) {
      const bytes = blocks.reduce((sum, block) => sum + block.bytes.length, 0);
      const firstSeqs = await log.append(blocks);
      metrics.fsyncs.inc();
      metrics.writtenBytes.inc(bytes);
      return firstSeqs;
    },
    async stage(request) {
      const staged = await log.stage(request);
      metrics.fsyncs.inc(request.shipments.length + 1);
      metrics.writtenBytes.inc(request.shipments.reduce((sum, shipment) => sum + shipment.bytes, 0));
      return staged;
    },
    async evict(request) {
      await log.evict(request);
      metrics.fsyncs.inc();
      metrics.writtenBytes.inc(request.blocks.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0));
    },
    async replayDeadLetters(request) {
      const losses = await log.replayDeadLetters(request);
      metrics.fsyncs.inc();
      return losses;
    },
    async trustBoot(trust) {
      await log.trustBoot(trust);
      metrics.fsyncs.inc();
    },
    async confirm(outboxId, keepFromMs) {
      await log.confirm(outboxId, keepFromMs);
      metrics.fsyncs.inc();
    },
    async releaseKept(messages) {
      const released = await log.releaseKept(messages);
      metrics.fsyncs.inc();
      return released;
    },
  };
}
