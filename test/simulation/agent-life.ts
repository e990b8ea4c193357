/**
 * One life of the agent: its real parts, wired as in `agent.ts`, on a simulated log, disk, broker and store. It ends when it is
 * told to, or when everything it asked for is dropped, which is a kill.
 */
import type { Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { runLoops } from '@varve/common/run-loops.js';
import { Aggregation } from '@varve/edge-agent/aggregate/aggregation.js';
import { BufferKeeper } from '@varve/edge-agent/buffer/buffer-keeper.js';
import { shareBytes } from '@varve/edge-agent/buffer/buffer-config.js';
import { Evictor } from '@varve/edge-agent/buffer/evictor.js';
import { unknownClock } from '@varve/edge-agent/log/block.js';
import { IntakeGate } from '@varve/edge-agent/buffer/intake-gate.js';
import { reportDiskFull } from '@varve/edge-agent/buffer/report-disk-full.js';
import { StreamRanks } from '@varve/edge-agent/buffer/stream-ranks.js';
import { Reduction } from '@varve/edge-agent/reduce/reduction.js';
import type { StreamConfig } from '@varve/edge-agent/config.js';
import { Router } from '@varve/edge-agent/decode/router.js';
import { createEdgeMetrics } from '@varve/edge-agent/metrics.js';
import { keepRaw } from '@varve/edge-agent/log/keep-raw.js';
import { LetterReplayer } from '@varve/edge-agent/replay/replay-letters.js';
import { Outbox } from '@varve/edge-agent/ship/outbox.js';
import { Pump } from '@varve/edge-agent/ship/pump.js';
import { remakeShipment } from '@varve/edge-agent/ship/remake-shipment.js';
import { Shipper } from '@varve/edge-agent/ship/shipper.js';
import { MqttSource } from '@varve/edge-agent/source/mqtt-source.js';
import type { FakeBroker } from './fake-broker.js';
import type { FakeDisk } from './fake-disk.js';
import type { FakeLog } from './fake-log.js';
import type { FakeStore } from './fake-store.js';
import type { Profile } from './profile.js';

export interface Surroundings {
  readonly profile: Profile;
  readonly streams: readonly StreamConfig[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: FakeLog;
  readonly disk: FakeDisk;
  readonly broker: FakeBroker;
  readonly store: FakeStore;
}

export const agentName = 'press';
const logger = silentLogger();
/** Of all lives together: they say how often each thing happened. */
export const metrics = createEdgeMetrics(createRegistry(() => 0));
const forEver = Number.MAX_SAFE_INTEGER;

export class AgentLife {
  /** Undefined while it runs; then why it ended, null where it was told to. */
  ended: Error | null | undefined;
  readonly #stop = new AbortController();
  #replayer: LetterReplayer | undefined;

  constructor(surroundings: Surroundings) {
    const onStarted = (replayer: LetterReplayer) => (this.#replayer = replayer);
    run(surroundings, onStarted, this.#stop.signal).then(
      () => (this.ended = null),
      (error: unknown) => (this.ended = error as Error),
    );
  }

  get isStopping(): boolean {
    return this.#stop.signal.aborted;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** As somebody would ask for it. False while it starts, and where it stops. */
  replay(): boolean {
    if (!this.#replayer || this.isStopping) return false;
    const question = { stream: undefined, isDryRun: false };
    // Refused writes and a full buffer are answers: it can be asked again.
    this.#replayer.replay(question, this.#stop.signal).catch((error: unknown) => {
      if (!(error instanceof Failure)) this.ended = error as Error;
    });
    return true;
  }
}

async function run(
  surroundings: Surroundings,
  onStarted: (replayer: LetterReplayer) => void,
  signal: AbortSignal,
): Promise<void> {
  const { profile, streams, clock, random, disk, broker, store } = surroundings;
  const limits = {
    ...{ bytesMax: profile.bufferBytesMax, ageMaxMs: undefined, keepFreeBytes: 0 },
    onFull: profile.onFull,
  };
  const agent = agentName;
  const bounds = shareBytes(limits);
  const intake = new IntakeGate();
  const full = reportDiskFull(surroundings.log.open(), (message) => intake.reportDiskFull(message));
  const log = keepRaw(full, profile.keepMs, () => clock.nowMs());
  const outbox = await Outbox.open('', log, profile.outboxBytesMax, disk.files);
  const encoder = { encode: disk.encode.bind(disk) };
  const router = new Router(streams);
  const aggregation = new Aggregation({
    ...{ streams, opened: log.opened.aggregates, openBytesMax: profile.openBytesMax },
  });
  await aggregation.restore(log, router, clock.nowMs());
  const reduction = new Reduction({ streams, opened: log.opened.reduction, cellsMax: profile.cellsMax });
  const shipping = { agent, log, router, encoder, outbox, clock, logger, metrics };

  const shipper = new Shipper({
    ...{ agent, epoch: log.opened.epoch, outbox, clock, random, logger, metrics },
    ...{ schedule: undefined, bytesPerSecondMax: profile.bytesPerSecondMax },
    remake: (entry) =>
      remakeShipment(entry, {
        ...{ ...shipping, streams },
        onLosses: () => pump.noteLosses(),
      }),
    isLogDrained: () => pump.isAtEnd,
    openStore: () => store.open(),
    onConfirmed: () => pump.wake(),
    onReachable: () => pump.noteStoreBack(),
  });
  const pump: Pump = new Pump({
    ...{ ...shipping, aggregation, reduction },
    policy: {
      ...{ everyMs: profile.everyMs, rowsMax: profile.rowsMax, bytesMax: forEver },
      ...{ logBytesMax: bounds.windowBytesMax, liveFirst: profile.liveFirst },
    },
    mayStage: () => keeper.mayStage(),
    onStaged: (logBytes) => {
      keeper.noteStaged(logBytes);
      shipper.wake();
    },
    onDiskFull: (message) => intake.reportDiskFull(message),
  });
  const evictor = new Evictor({
    ...{ log, pump, clock, metrics },
    ranks: new StreamRanks(streams),
    stepBytes: bounds.evictedBytesMax,
  });
  const keeper: BufferKeeper = new BufferKeeper({
    ...{ dataDir: '', log, pump, outbox, intake, evictor, clock, logger, limits },
    reserve: { hold: () => Promise.resolve(), giveUp: () => Promise.resolve() },
    diskRoom: () => Promise.resolve({ freeBytes: forEver }),
    trustedNowMs: () => clock.nowMs(),
    onRoom: () => pump.wake(),
  });
  const source = new MqttSource({
    config: {
      ...{ name: 'plant', url: 'sim', brokerName: 'sim', topics: ['#'], clientId: agent },
      ...{ username: undefined, password: undefined, keepaliveSeconds: 60, sessionExpirySeconds: forEver },
      receiveMaximum: profile.receiveMaximum,
    },
    limits: { messagesMax: profile.groupMessages, bytesMax: forEver, delayMs: 50 },
    ...{ log, intake, clock, random, logger, metrics },
    arrivals: { nowMs: () => clock.nowMs(), blockClock: () => unknownClock },
    connect: (options) => broker.connect(options),
    onDurable: () => pump.wake(),
  });
  onStarted(new LetterReplayer({ streams, log, keeper, pump, clock, metrics }));
  await runLoops(signal, [
    (stop) => shipper.run(stop),
    (stop) => pump.run(stop),
    (stop) => keeper.run(stop),
    (stop) => source.run(stop),
  ]);
}

/** An agent may give up on a failure of the world at its start; then it is started again. */
export function isExcusable(error: Error): boolean {
  return error instanceof Failure;
}
