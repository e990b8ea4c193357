/**
 * The agent, as a picture: its parts, started in order, stopped in the reverse.
 *
 *     source ─▶ log (SQLite) ─▶ pump: decode, window, encode ─▶ outbox ─▶ shipper ─▶ store
 *          acknowledge ◀─┘
 *     watch: knows when messages came, and holds back what needs a clock that is not set yet
 *     keeper: holds the buffer within its bounds – closes the intake of sources, or drops messages and writes that down
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '@varve/common/clock.js';
import { agentProbeKey, agentStatusKey } from '@varve/common/contract/object-keys.js';
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import { runLoops } from '@varve/common/run-loops.js';
import { openStore } from '@varve/common/store/open-store.js';
import { Aggregation } from './aggregate/aggregation.js';
import { shareBytes } from './buffer/buffer-config.js';
import { BufferKeeper } from './buffer/buffer-keeper.js';
import { Evictor } from './buffer/evictor.js';
import { fitToDisk } from './buffer/fit-to-disk.js';
import { IntakeGate } from './buffer/intake-gate.js';
import { reportDiskFull } from './buffer/report-disk-full.js';
import { ReserveFile } from './buffer/reserve-file.js';
import { StreamRanks } from './buffer/stream-ranks.js';
import { readBootId, readClockEvidence } from './clock-trust/clock-evidence.js';
import { ClockWatch } from './clock-trust/clock-watch.js';
import type { EdgeConfig } from './config.js';
import { Router } from './decode/router.js';
import { ParquetEncoder } from './encode/parquet-encoder.js';
import { countedLog } from './log/counted-log.js';
import { findKeepMs, keepRaw } from './log/keep-raw.js';
import { reportDamage } from './log/report-damage.js';
import { makeDataDir, nameEpoch, startEdgeLog } from './log/start-edge-log.js';
import { watchDamage } from './log/watch-damage.js';
import { createEdgeMetrics } from './metrics.js';
import { Reduction } from './reduce/reduction.js';
import { LetterReplayer } from './replay/replay-letters.js';
import { Outbox } from './ship/outbox.js';
import { Pump } from './ship/pump.js';
import { remakeShipment } from './ship/remake-shipment.js';
import { Shipper } from './ship/shipper.js';
import { MqttSource } from './source/mqtt-source.js';
import { LiveTail } from './status/live-tail.js';
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
  /** Damage of the log that ended the agent's parts before: it is salvaged first (`run-healing.ts`). */
  readonly damage?: string | undefined;
}

/**
 * Runs until `signal` aborts, then stops in order.
 * @throws Failure of kind config when it cannot start; `log_corrupt` when its log turns out to be damaged: run it again with
 * `damage`
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { config, version, clock, random, logger, registry } = options;
  const { agent, dataDir } = config;
  const metrics = createEdgeMetrics(registry);
  const startedMs = clock.monotonicMs();

  const newEpoch = nameEpoch(clock.nowMs(), randomUUID().slice(0, 8));
  const bounds = shareBytes(config.buffer);
  const intake = new IntakeGate();
  await makeDataDir(dataDir);
  const limits = await fitToDisk(config.buffer, dataDir);
  const onDamage = reportDamage({ logger, metrics, onLosses: () => pump.noteLosses() });
  const { damage } = options;
  const opened = await startEdgeLog({ dataDir, agent, newEpoch, bounds, damage, onDamage });
  const { log: watched, untilDamaged } = watchDamage(opened);
  const full = reportDiskFull(countedLog(watched, metrics), (message) => intake.reportDiskFull(message));
  const log = keepRaw(full, findKeepMs(config.streams), () => watch.trustedNowMs());
  const outbox = await Outbox.open(dataDir, log, bounds.outboxBytesMax);
  const encoder = new ParquetEncoder(clock);
  const router = new Router(config.streams, log.opened.nextShipmentSeqs);
  const aggregation = new Aggregation({
    streams: config.streams,
    opened: log.opened.aggregates,
    openBytesMax: bounds.openWindowBytesMax,
  });
  await aggregation.restore(log, router, clock.nowMs());
  const reduction = new Reduction({ streams: config.streams, opened: log.opened.reduction, logger });
  const watch: ClockWatch = new ClockWatch({
    ...{ config: config.clock, bootId: await readBootId(), log, clock, logger },
    readEvidence: readClockEvidence,
    isStoreAway: () => outbox.entries.length > 0 && !shipper.state().storeReachable,
    onChange: () => pump.wake(),
  });
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
    remake: (entry) =>
      remakeShipment(entry, {
        ...shipping,
        streams: config.streams,
        onLosses: () => pump.noteLosses(),
      }),
    isLogDrained: () => pump.isAtEnd,
    openStore: (mayCreate) => openStore(config.store, { ...proof, mayCreate }),
    onConfirmed: () => {
      pump.wake();
      publisher.wake();
    },
    onReachable: () => {
      pump.noteStoreBack();
      publisher.wake();
    },
  });
  const pump: Pump = new Pump({
    ...{ ...shipping, aggregation, reduction },
    arrivals: watch,
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
    limits,
    reserve: new ReserveFile(dataDir),
    trustedNowMs: () => watch.trustedNowMs(),
    onRoom: () => pump.wake(),
  });
  const sources = config.sources.map(
    (source) =>
      new MqttSource({
        ...{
          config: source,
          limits: config.group,
          log,
          intake,
          clock,
          arrivals: watch,
          random,
          logger,
          metrics,
        },
        onDurable: () => pump.wake(),
      }),
  );
  const status = {
    agent,
    version,
    startedMs,
    clock,
    watch,
    log,
    sources,
    pump,
    outbox,
    shipper,
    keeper,
    metrics,
  };
  const publisher = new StatusPublisher({
    ...{ key: agentStatusKey(agent), clock, logger },
    read: () => readStatus(status),
    reachableStore: () => shipper.reachableStore(),
    isLineOpen: () => shipper.isLineOpen,
  });
  const tail = new LiveTail(
    router,
    config.streams.map(({ name }) => name),
  );
  const replayer = new LetterReplayer({ streams: config.streams, log, keeper, pump, clock, metrics });
  const server = createStatusServer({ logger, registry, log, status, tail, replayer });

  try {
    const address = await server.listen(config.listen, 'status.listen');
    logger.info({ agent, version, epoch: log.opened.epoch, status: address }, 'collecting');
    await watch.look();
    await runLoops(signal, [
      (stop) => watch.run(stop),
      untilDamaged,
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
