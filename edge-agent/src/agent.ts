/**
 * The agent, as a picture: its parts, started in order, stopped in the reverse.
 *
 *     source ─▶ log (SQLite) ─▶ pump: decode, window, encode ─▶ outbox ─▶ shipper ─▶ store
 *          acknowledge ◀─┘
 *     keeper: holds the buffer within its bounds – closes the intake of sources, or drops messages and writes that down
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '@varve/common/clock.js';
import { agentProbeKey, agentStatusKey } from '@varve/common/contract/object-keys.js';
import { listen } from '@varve/common/http-server.js';
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import { runLoops } from '@varve/common/run-loops.js';
import { openStore } from '@varve/common/store/open-store.js';
import { shareBytes } from './buffer/buffer-config.js';
import { BufferKeeper } from './buffer/buffer-keeper.js';
import { Evictor } from './buffer/evictor.js';
import { IntakeGate } from './buffer/intake-gate.js';
import { reportDiskFull } from './buffer/report-disk-full.js';
import { ReserveFile } from './buffer/reserve-file.js';
import { StreamRanks } from './buffer/stream-ranks.js';
import type { EdgeConfig } from './config.js';
import { Router } from './decode/router.js';
import { ParquetEncoder } from './encode/parquet-encoder.js';
import { countedLog } from './log/counted-log.js';
import { nameEpoch, startEdgeLog } from './log/start-edge-log.js';
import { createEdgeMetrics } from './metrics.js';
import { Outbox } from './ship/outbox.js';
import { Pump } from './ship/pump.js';
import { remakeShipment } from './ship/remake-shipment.js';
import { Shipper } from './ship/shipper.js';
import { MqttSource } from './source/mqtt-source.js';
import { StatusPublisher } from './status/status-publisher.js';
import { createStatusServer } from './status/status-server.js';
import { readStatus } from './status/status.js';

export interface AgentOptions {
  readonly config: EdgeConfig;
  readonly version: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** Runs until `signal` aborts, then stops in order. @throws Failure of kind config when it cannot start */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { config, version, clock, random, logger, registry } = options;
  const { agent, dataDir } = config;
  const metrics = createEdgeMetrics(registry);
  const startedMs = clock.nowMs();

  const newEpoch = nameEpoch(startedMs, randomUUID().slice(0, 8));
  const bounds = shareBytes(config.buffer);
  const intake = new IntakeGate();
  const opened = await startEdgeLog({ dataDir, agent, newEpoch, bounds });
  const log = reportDiskFull(countedLog(opened, metrics), (message) => intake.reportDiskFull(message));
  const outbox = await Outbox.open(dataDir, log, bounds.outboxBytesMax);
  const encoder = new ParquetEncoder(clock);
  const router = new Router(config.streams, log.opened.nextShipmentSeqs);
  const shipping = { agent, log, router, encoder, outbox, clock, logger, metrics };
  const proof = {
    access: 'put-only',
    probeKey: (uuid: string) => agentProbeKey(agent, uuid),
    clock,
  } as const;

  const shipper = new Shipper({
    ...{ agent, epoch: log.opened.epoch, outbox, clock, random, logger, metrics },
    schedule: config.ship.schedule,
    bytesPerSecondMax: config.ship.bytesPerSecondMax,
    remake: (entry) => remakeShipment(entry, shipping),
    isLogDrained: () => pump.isAtEnd,
    openStore: () => openStore(config.store, proof),
    onConfirmed: () => {
      pump.wake();
      publisher.wake();
    },
    onReachable: () => publisher.wake(),
  });
  const pump: Pump = new Pump({
    ...shipping,
    policy: { ...config.ship, logBytesMax: bounds.windowBytesMax },
    mayStage: () => keeper.mayStage(),
    onStaged: (logBytes) => {
      keeper.noteStaged(logBytes);
      shipper.wake();
    },
    onDiskFull: (message) => intake.reportDiskFull(message),
  });
  const evictor = new Evictor({
    ...{ log, pump, clock, metrics },
    ranks: new StreamRanks(config.streams),
    stepBytes: bounds.evictedBytesMax,
  });
  const keeper: BufferKeeper = new BufferKeeper({
    ...{ dataDir, log, pump, outbox, intake, evictor, clock, logger },
    limits: config.buffer,
    reserve: new ReserveFile(dataDir),
    onRoom: () => pump.wake(),
  });
  const sources = config.sources.map(
    (source) =>
      new MqttSource({
        ...{ config: source, limits: config.group, log, intake, clock, random, logger, metrics },
        onDurable: () => pump.wake(),
      }),
  );
  const status = { agent, version, startedMs, clock, log, sources, pump, outbox, shipper, keeper, metrics };
  const publisher = new StatusPublisher({
    ...{ key: agentStatusKey(agent), clock, logger },
    read: () => readStatus(status),
    reachableStore: () => shipper.reachableStore(),
    isLineOpen: () => shipper.isLineOpen,
  });
  const server = createStatusServer({ logger, registry, log, status });

  try {
    const address = await listen(server, config.listen, 'status.listen');
    logger.info({ agent, version, epoch: log.opened.epoch, status: address }, 'collecting');
    await runLoops(signal, [
      (stop) => shipper.run(stop),
      (stop) => publisher.run(stop),
      (stop) => encoder.run(stop),
      (stop) => pump.run(stop),
      (stop) => keeper.run(stop),
      ...sources.map((source) => (stop: AbortSignal) => source.run(stop)),
    ]);
  } finally {
    await server.close();
    await encoder.close();
    await log.close();
    logger.info('stopped');
  }
}
