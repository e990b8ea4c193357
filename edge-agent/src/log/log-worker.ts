/** The log's thread: owns the database connection, so that no fsync ever holds up the event loop of the agent. */
import '../v8-flags.js';
import { parentPort, workerData } from 'node:worker_threads';
import { strict as assert } from 'node:assert';
import { serveCalls } from '../worker-call.js';
import type { BootTrust } from './boots.js';
import type { EvictRequest, NewBlock, OutboxEntry, ReplayRequest, StageRequest } from './edge-log.js';
import type { Loss } from './loss.js';
import { openLog } from './open-log.js';
import { salvage } from './salvage.js';
import type { SqliteLog, SqliteLogOptions } from './sqlite-log.js';

assert(parentPort, 'this file runs as a worker thread');

let log: SqliteLog | undefined;
const opened = (): SqliteLog => {
  assert(log, 'the log is not open');
  return log;
};

serveCalls(parentPort, {
  // Opened by a call, not at loading: so that a failure reaches the caller as itself.
  open() {
    log = openLog(workerData as SqliteLogOptions);
    return log.state();
  },
  salvage: (why: string) => salvage({ ...(workerData as SqliteLogOptions), why }),
  append: (blocks: NewBlock[]) => opened().append(blocks),
  read: (fromSeq: number, bytesMax: number, clockBoot?: number) => {
    const blocks = opened().read(fromSeq, bytesMax, clockBoot);
    return { blocks, setAside: opened().takeSetAside() };
  },
  beginBoot: (id: string) => opened().beginBoot(id),
  trustBoot: (trust: BootTrust) => opened().trustBoot(trust),
  stage: (request: StageRequest) => opened().stage(request),
  replace: (entry: OutboxEntry, losses?: readonly Loss[]) => opened().replace(entry, losses),
  shippedLosses: (outboxId: number) => opened().shippedLosses(outboxId),
  confirm: (outboxId: number, keepFromMs?: number) => opened().confirm(outboxId, keepFromMs),
  releaseKept: (messages: number) => opened().releaseKept(messages),
  evict: (request: EvictRequest) => opened().evict(request),
  releaseRecent: () => opened().releaseRecent(),
  waitingLosses: () => opened().waitingLosses(),
  losses: () => opened().losses(),
  deadLetters: (limit: number) => opened().deadLetters(limit),
  deadLettersFrom: (fromSeq: number, endSeq: number, limit: number) =>
    opened().deadLettersFrom(fromSeq, endSeq, limit),
  replayDeadLetters: (request: ReplayRequest) => opened().replayDeadLetters(request),
  sizes: (waitingFromSeq: number) => opened().sizes(waitingFromSeq),
  subscribed: (session: string) => opened().subscribed(session),
  setSubscribed: (session: string, filters: readonly string[]) => opened().setSubscribed(session, filters),
  close: () => opened().close(),
});
