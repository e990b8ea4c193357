/**
 * One run: start, publish and cause faults until the time is over, heal, wait until everything is through, check.
 *
 * Bounds: the run takes its time, and then at most `drainLimitMs` until what is under way has arrived.
 */
import { appendFileSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { s3 } from '../requirements.js';
import type { Cleanups } from './cleanups.js';
import { causeFault } from './cause-faults.js';
import { checkRows, countRows, isSound, type Verdict } from './check-rows.js';
import { compareReaders } from './compare-readers.js';
import { drain, drainLimitMs } from './drain.js';
import { whyNoFalseClock } from './false-clock.js';
import {
  describeKinds,
  faultKinds,
  nameFault,
  planFaults,
  type Fault,
  type FaultKind,
} from './plan-faults.js';
import { Plant } from './plant.js';
import { Publishers } from './publishers.js';
import { seededRandom } from './seeded-random.js';
import { whyNoMounts } from './small-disk.js';
import { folderUnderTorture, s3UnderTorture } from './torture-store.js';

export interface TortureOptions {
  readonly seed: number;
  readonly runMs: number;
  readonly store: 'folder' | 's3';
  readonly agentCount: number;
  readonly tsdbCount: number;
  readonly messagesPerSecond: number;
  /** Damages the agents' databases, too. */
  readonly damage: boolean;
  readonly print: (line: string) => void;
}

export interface TortureResult {
  readonly verdict: Verdict;
  /** Those that could be caused. */
  readonly faults: readonly Fault[];
  /** What programs said last that ended by themselves. */
  readonly crashes: readonly string[];
  /** What went wrong at the end besides; empty when all is well. */
  readonly complaints: readonly string[];
  /** Kept where something went wrong. */
  readonly keptFolder: string | undefined;
}

const progressEveryMs = 10_000;
const devicesPerSite = 4;
/** At 150 messages a second it fills a tight buffer in an outage of five seconds. */
const ballastBytes = 5_000;

/** `owner` undoes in the reverse order, since disks lie in the folder. */
export async function runTorture(owner: Cleanups, options: TortureOptions): Promise<TortureResult> {
  const { seed, runMs, print } = options;
  const dir = mkdtempSync(join(tmpdir(), 'varve-torture-'));
  let isWell = false;
  owner.after(async () => {
    if (isWell) await rm(dir, { recursive: true, force: true });
  });
  const noMounts = whyNoMounts(owner);
  const noFalseClock = whyNoFalseClock();
  const canMount = noMounts === undefined;
  const s3Store = s3();
  if (options.store === 's3' && !s3Store)
    throw new Error('set VARVE_TEST_S3={"endpoint": "http://…", "bucket": "…"}');
  const store =
    options.store === 's3' && s3Store
      ? await s3UnderTorture(owner, s3Store, seededRandom(seed + 1))
      : folderUnderTorture(owner, dir, canMount);

  const reasons = new Map<FaultKind, string | undefined>([
    ['edge disk full', noMounts],
    ['clock step', noFalseClock],
    ['edge database damaged', options.damage ? undefined : 'asked for with --damage'],
    ...(['store outage', 'store full', 'store slow', 'store failing'] as const).map(
      (kind) =>
        [
          kind,
          store.faults.has(kind) ? undefined : `not with ${store.describe().split(':')[0] ?? ''}`,
        ] as const,
    ),
  ]);
  const kinds = faultKinds.filter((kind) => reasons.get(kind) === undefined);
  for (const [kind, reason] of reasons) if (reason !== undefined) print(`left out: ${kind} (${reason})`);
  const plan = planFaults({
    seed,
    runMs,
    kinds,
    agentCount: options.agentCount,
    tsdbCount: options.tsdbCount,
  });
  print(`seed ${seed}: ${plan.length} faults in ${runMs / 1_000} s; everything is in ${dir}`);

  const plant = await Plant.start(owner, {
    ...{ dir, store, canMount, agentCount: options.agentCount, tsdbCount: options.tsdbCount },
    hasFalseClocks: noFalseClock === undefined,
  });
  const publishers = await Publishers.connect({
    brokerUrl: plant.brokerUrl,
    sites: new Map(plant.agents.map(({ site, isTight }) => [site, isTight ? ballastBytes : 0])),
    devicesPerSite,
    messagesPerSecond: options.messagesPerSecond,
  });
  owner.after(() => publishers.close());
  const complaints: string[] = [];
  const faults = await strike({ plant, publishers, plan, options, complaints });

  print('healing');
  await plant.heal();
  const complain = (error: unknown) => {
    complaints.push(error instanceof Error ? error.message : String(error));
  };
  await publishers.stop(drainLimitMs).catch(complain);
  await drain(plant, publishers, print).catch(complain);
  const verdict = await checkRows((sql) => plant.query(sql), publishers.series);
  complaints.push(...(await compareReaders(owner, plant, verdict.rows)));
  const crashes = plant.programs.flatMap((program) => program.crashes);
  isWell = isSound(verdict) && complaints.length === 0 && crashes.length === 0;
  if (isWell) await plant.stop();
  else await plant.keepContents();
  print(`the store was ${store.describe()}`);
  return { verdict, faults, crashes, complaints, keptFolder: isWell ? undefined : dir };
}

interface Strike {
  readonly plant: Plant;
  readonly publishers: Publishers;
  readonly plan: readonly Fault[];
  readonly options: TortureOptions;
  /** Filled with what could not even be tried. */
  readonly complaints: string[];
}

/** Returns the faults that could be caused. */
async function strike({
  plant,
  publishers,
  plan,
  options: { runMs, print },
  complaints,
}: Strike): Promise<Fault[]> {
  const startedMs = systemClock.monotonicMs();
  const elapsedMs = () => systemClock.monotonicMs() - startedMs;
  const say = (line: string) => print(`${(elapsedMs() / 1_000).toFixed(1).padStart(6)} s  ${line}`);
  const caused: Fault[] = [];
  const ended = new AbortController();
  const progress = reportProgress(plant, publishers, say, ended.signal);
  publishers.start();
  const underWay = plan.map(async (fault) => {
    await systemClock.sleep(fault.atMs);
    say(`${nameFault(fault)} (${fault.lastsMs} ms)`);
    try {
      if (await causeFault(plant, fault)) caused.push(fault);
      else say(`${nameFault(fault)} could not be caused`);
    } catch (error) {
      complaints.push(`${nameFault(fault)} failed: ${String(error)}`);
    }
  });
  await systemClock.sleep(runMs);
  await Promise.all(underWay);
  ended.abort();
  await progress;
  return caused;
}

async function reportProgress(
  plant: Plant,
  publishers: Publishers,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await systemClock.sleep(progressEveryMs, signal);
    if (signal.aborted) return;
    const rows = await countRows((sql) => plant.query(sql));
    say(`published ${publishers.publishedCount}, acked ${publishers.acknowledgedCount}, rows ${rows || '?'}`);
  }
}

/** The last line of a run. */
export function describeResult({ verdict, faults }: TortureResult, seed: number): string {
  const { acknowledged, rows, lost, duplicated, owned, overstated } = verdict;
  const inLedger = owned > 0 ? `, in the loss ledger ${owned} (${overstated} of them rows all the same)` : '';
  return (
    `acked ${acknowledged}, rows ${rows}, lost ${lost}, duplicated ${duplicated}${inLedger}, ` +
    `faults ${faults.length} (kinds: ${describeKinds(faults)}), seed ${seed}`
  );
}

export function keepReport(folder: string, lines: readonly string[]): void {
  appendFileSync(join(folder, 'report.txt'), `${lines.join('\n')}\n`);
}
