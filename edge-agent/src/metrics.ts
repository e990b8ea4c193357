/** The agent's numbers (DESIGN §5.7). Counters start at nought with the process. */
import { Counter, Gauge, type Registry } from '@varve/common/metrics.js';

export type EdgeMetrics = ReturnType<typeof createEdgeMetrics>;

export function createEdgeMetrics(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string) =>
    new Counter({ name: `varve_edge_${name}`, help, registers });
  return {
    messagesReceived: counter(
      'messages_received_total',
      'Messages received from brokers, repeated ones included',
    ),
    messagesDurable: counter('messages_durable_total', 'Messages in the log, fsynced'),
    messagesAcknowledged: counter('messages_acknowledged_total', 'Messages acknowledged to brokers'),
    messagesDuplicate: counter(
      'messages_duplicate_total',
      'Messages that came again and were in the log already',
    ),
    messagesUnwanted: counter(
      'messages_unwanted_total',
      'Messages of topics that are no longer configured, let go when a session brought them',
    ),
    deadLetters: new Counter({
      name: 'varve_edge_dead_letters_total',
      help: 'Messages that no stream could read, by reason',
      labelNames: ['code'] as const,
      registers,
    }),
    deadLettersDropped: counter(
      'dead_letters_dropped_total',
      'Dead letters forgotten because there were too many',
    ),
    losses: new Counter({
      name: 'varve_edge_losses_total',
      help: 'Messages written into the loss ledger, by kind',
      labelNames: ['kind'] as const,
      registers,
    }),
    rows: new Counter({
      name: 'varve_edge_rows_total',
      help: 'Rows put into shipments, by table',
      labelNames: ['table'] as const,
      registers,
    }),
    fsyncs: counter('fsync_total', 'Transactions and files forced to the disk'),
    writtenBytes: counter('written_bytes_total', 'Bytes of messages and shipments handed to the disk'),
    shipments: new Counter({
      name: 'varve_edge_shipments_total',
      help: 'Shipments the store has confirmed, by table',
      labelNames: ['table'] as const,
      registers,
    }),
    shipmentsRemade: counter(
      'shipments_remade_total',
      'Shipments whose file was damaged, made again from the log',
    ),
    rowsLeftOut: new Counter({
      name: 'varve_edge_rows_left_out_total',
      help: 'Rows that were not shipped because they say nothing new, by table',
      labelNames: ['table'],
      registers,
    }),
    rowsUnjudged: new Counter({
      name: 'varve_edge_rows_unjudged_total',
      help: 'Rows shipped as they came because a table has more series than can be remembered for reducing',
      labelNames: ['table'],
      registers,
    }),
    rowsLost: counter('rows_lost_total', 'Rows of damaged shipments that the log did not have any more'),
    shippedBytes: counter('shipped_bytes_total', 'Bytes of confirmed shipments'),
    logBytes: new Gauge({ name: 'varve_edge_log_bytes', help: 'Bytes of the log on disk', registers }),
    bufferBytes: new Gauge({
      name: 'varve_edge_buffer_bytes',
      help: 'Bytes of log and outbox, as buffer.max_size counts them',
      registers,
    }),
    bufferStopped: new Gauge({
      name: 'varve_edge_buffer_stopped',
      help: '1 while sources are stopped because the buffer is full',
      registers,
    }),
    clockTrusted: new Gauge({
      name: 'varve_edge_clock_trusted',
      help: '1 while the wall clock of the gateway is trusted',
      registers,
    }),
    clockWaiting: new Gauge({
      name: 'varve_edge_clock_waiting_messages',
      help: 'Messages held back until the wall clock is trusted',
      registers,
    }),
    clockSteps: new Gauge({
      name: 'varve_edge_clock_steps',
      help: 'How often the wall clock was set since the start',
      registers,
    }),
    outboxShipments: new Gauge({
      name: 'varve_edge_outbox_shipments',
      help: 'Shipments not yet confirmed',
      registers,
    }),
    oldestUnshippedSeconds: new Gauge({
      name: 'varve_edge_oldest_unshipped_seconds',
      help: 'Age of the oldest row that the store does not have',
      registers,
    }),
    connected: new Gauge({
      name: 'varve_edge_source_connected',
      help: '1 while the source is connected to its broker',
      labelNames: ['source'] as const,
      registers,
    }),
  };
}
