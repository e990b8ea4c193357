/**
 * The numbers of ingest that are watched (DESIGN §5.7).
 */
import { Counter, Gauge, Histogram, type Registry } from '@varve/common/metrics.js';

export type IngestMetrics = ReturnType<typeof createIngestMetrics>;

export function createIngestMetrics(registry: Registry) {
  const registers = [registry];
  return {
    shipmentsCommitted: new Counter({
      name: 'varve_tsdb_shipments_committed_total',
      help: 'Shipments that are in their tables',
      registers,
    }),
    rowsCommitted: new Counter({
      name: 'varve_tsdb_rows_committed_total',
      help: 'Rows of committed shipments, rows that replace others included',
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'varve_tsdb_commit_seconds',
      help: 'Time from the download of the shipments of a commit until it is in the log',
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    }),
    inboxWaiting: new Gauge({
      name: 'varve_tsdb_inbox_waiting',
      help: 'Shipments seen in the inbox by the last round; at least so many wait',
      registers,
    }),
    quarantined: new Counter({
      name: 'varve_tsdb_quarantined_total',
      help: 'Inbox objects put aside because they broke the contract',
      registers,
    }),
    gaps: new Gauge({
      name: 'varve_tsdb_lane_gaps',
      help: 'Lanes that wait for a missing shipment',
      registers,
    }),
  };
}
