/**
 * `varve-edge doctor`: looks at everything in `data_dir` and says what it found. For a stopped agent: a running one holds the
 * database's lock, and its status says how it fares.
 *
 * It changes nothing, unless `--repair` asks for the salvage that the agent's next start would do.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import { isFailure } from '@varve/common/errors.js';
import type { EdgeConfig } from '../config.js';
import { databaseFile, nameEpoch, stillDamaged } from '../log/start-edge-log.js';
import { openLog } from '../log/open-log.js';
import { salvage } from '../log/salvage.js';
import { checkDatabase } from './check-database.js';
import { checkClock, checkOutbox, checkRoom, checkSetAside } from './check-files.js';
import { ok, problem, type Diagnosis, type Finding } from './finding.js';

export interface DoctorOptions {
  readonly config: Pick<EdgeConfig, 'agent' | 'dataDir' | 'buffer'>;
  readonly clock: Clock;
  readonly isRepair: boolean;
}

/** @throws Failure `disk_full` where a repair has no room */
export function examine({ config, clock, isRepair }: DoctorOptions): Diagnosis {
  const { agent, dataDir, buffer } = config;
  if (!existsSync(dataDir))
    return { dataDir, findings: [ok('data_dir', 'not made yet: the agent has not run on it')] };
  const path = join(dataDir, databaseFile);
  const findings: Finding[] = [];
  try {
    if (isRepair) findings.push(repair(path, agent, clock));
    const database = checkDatabase(path, agent);
    const newestMs = database.outbox.reduce((newest, { stagedMs }) => Math.max(newest, stagedMs), 0);
    findings.push(...database.findings, ...checkOutbox(dataDir, database.outbox));
    findings.push(checkClock(clock.nowMs(), newestMs));
  } catch (error) {
    if (!isFailure(error, 'data_dir_in_use')) throw error;
    const advice = 'ask it with "varve-edge status", or stop it and run this again for a look at its files';
    findings.push(problem('database', 'an agent runs on this data_dir, and has it locked', advice));
    findings.push(checkClock(clock.nowMs(), 0));
  }
  return { dataDir, findings: [...findings, checkSetAside(path), checkRoom(dataDir, buffer)] };
}

/** What the start does: opens the log, and salvages it where that cannot be. */
function repair(path: string, agent: string, clock: Clock): Finding {
  const newEpoch = nameEpoch(clock.nowMs(), randomUUID().slice(0, 8));
  const options = { path, agent, newEpoch };
  try {
    openAndRead(options);
    return ok('repair', 'the log opens and can be read; damaged blocks were set aside');
  } catch (error) {
    if (!isFailure(error, 'log_corrupt')) throw error;
    const { messagesLost, isNewEpoch, epoch, blocks } = salvage({ ...options, why: error.message });
    try {
      openAndRead(options);
    } catch (again) {
      throw isFailure(again, 'log_corrupt') ? stillDamaged(path, again) : again;
    }
    const kept = isNewEpoch ? `epoch ${epoch} has begun` : `epoch ${epoch} goes on`;
    return ok('repair', `salvaged ${blocks} blocks; ${messagesLost} messages are lost; ${kept}`);
  }
}

/** Everything, so that every damaged block is met. */
function openAndRead(options: { path: string; agent: string; newEpoch: string }): void {
  const log = openLog(options);
  try {
    const { nextSeq, backlog } = log.state();
    let seq = backlog[0]?.firstSeq ?? nextSeq;
    for (;;) {
      const last = log.read(seq, 1_000_000).at(-1);
      if (!last) break;
      seq = last.firstSeq + last.messageCount;
    }
    log.waitingLosses();
  } finally {
    log.close();
  }
}
