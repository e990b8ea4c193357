/**
 * `lake-queries`: what an answer takes (DESIGN §8), ours over HTTP and others' on the same rows, in one run.
 *
 * 1. The lake is made by our own ingest and compaction (`queries/make-lake.ts`).
 * 2. Question by question, all contestants are warmed up, then asked in turns, so that they see the same machine: a few times, the
 *    next time right after an answer, as TSBS asks. Who has just been asked leaves its traces in the processor's caches and
 *    threads: everybody comes after everybody else equally often (`turns.ts`). An answer's time is believed if its cells are
 *    those of DuckDB alone. Ours answers as JSON and, what is asked in SQL, as Arrow.
 * 3. Ours is asked cold: everything it keeps beside the lake deleted, and the process started again. Where `VARVE_TEST_S3` names
 *    a bucket, also over S3, from a copy of the lake there, and what it asked of the store for the question is counted.
 */
import { join } from 'node:path';
import { tablesPrefix } from '@varve/common/contract/object-keys.js';
import { temporaryFolder } from '../installation.js';
import type { Owner } from '../processes.js';
import { s3, type S3TestStore } from '../requirements.js';
import { openLake, type Lake } from './bench-lake.js';
import { withOwner, type BenchOptions } from './bench-run.js';
import { readUsage } from './process-usage.js';
import { copyToBucket } from './queries/bucket-lake.js';
import { areSame, type AnswerCheck, type Contestant } from './queries/contestant.js';
import { openClickHouse, openDuckDb, type FilesOf } from './queries/engines.js';
import { makeLake, tablesOf } from './queries/make-lake.js';
import { openOurs, readsBetween, type Ours } from './queries/ours.js';
import { openPeers } from './queries/peers.js';
import { walkQuestions, type Question, type Span } from './queries/questions.js';
import { truckQuestions } from './queries/truck-questions.js';
import { turnsOf } from './queries/turns.js';
import { reportOf, type Found, type Times } from './queries/query-report.js';
import { firstDayMs } from './random-walks.js';
import type { Report } from './report.js';

/** Of each, by itself. A program in JavaScript is still being compiled after a thousand answers: a server has given more. */
const warmUps = { countMin: 3, countMax: 3_000, ms: 1_500 };
/** How often in a turn. */
const inARow = 4;
/** In turns, before the record. */
const roundsBefore = 1;
const dayLengthMs = 86_400_000;

export async function benchLakeQueries(options: BenchOptions): Promise<Report> {
  return await withOwner(async (owner) => {
    const { note, days } = options;
    const folder = options.lake ?? temporaryFolder(owner);
    const filesOf = await makeLakeOf(folder, options);
    const ours = await openOurs(owner, folder);
    const duckDb = await openDuckDb(owner, filesOf);
    const clickHouse = await openClickHouse(owner, join(folder, 'store', tablesPrefix, 'main'));
    const others = [clickHouse, ...(options.peers ? await openPeers(owner, filesOf, note) : [])];
    const span: Span = {
      firstMs: firstDayMs,
      dayMs: firstDayMs + Math.floor((days - 1) / 2) * dayLengthMs,
      endMs: firstDayMs + days * dayLengthMs,
    };
    const found: Found[] = [];
    const questions = [...walkQuestions(span), ...truckQuestions(span)];
    for (const question of questions.filter(({ name }) => name.includes(options.questions ?? ''))) {
      note(question.name);
      found.push(await measure(question, ours, duckDb, others, options.asks));
    }
    for (const { question, times } of options.cold > 0 ? found : []) {
      note(`cold: ${question.name}`);
      times.set('ours, cold', await measureCold(question, ours, options.cold));
    }
    const bucket = s3();
    if (bucket === undefined) note('cold over S3: not without VARVE_TEST_S3');
    else if (options.cold > 0) await measureFaraway(owner, { folder, bucket, found, options });
    return reportOf(found, options);
  });
}

/** Which files hold what, once it is made. Whoever made it has ended by then. */
async function makeLakeOf(folder: string, options: BenchOptions): Promise<FilesOf> {
  const { days, scale, decimals, note } = options;
  const size = { days, scale, decimals };
  return await withOwner(async (making) => {
    const memoryBytesMax = Math.max(2, Math.min(8, days * scale * 0.4)) * 2 ** 30;
    const lake = await openLake(making, folder, memoryBytesMax);
    await lake.catalog.refresh();
    if (lake.catalog.current().length === 0) await makeLake(lake, size, note);
    await lake.catalog.refresh();
    return filesIn(
      lake,
      tablesOf(size).map(({ name }) => name),
      days,
    );
  });
}

function filesIn(lake: Lake, tables: readonly string[], days: number): FilesOf {
  const dayText = new Date(firstDayMs + Math.floor((days - 1) / 2) * dayLengthMs).toISOString().slice(0, 10);
  const files = new Map(
    tables.map((table) => {
      const state = lake.catalog.get({ database: 'main', table });
      return [table, [...(state?.files.values() ?? [])]] as const;
    }),
  );
  return (table, asked) =>
    (files.get(table) ?? [])
      .filter(({ day }) => asked === 'all' || day === dayText)
      .map(({ key }) => lake.store.localPath(key) ?? key);
}

async function measure(
  question: Question,
  ours: Ours,
  duckDb: Contestant,
  others: readonly Contestant[],
  asks: number,
): Promise<Found> {
  const contestants = [ours, ours.asArrow, duckDb, ...others];
  const before = await ours.storeReads();
  const [times, checks, failures] = [
    new Map<string, Times>(),
    new Map<string, AnswerCheck>(),
    new Map<string, string>(),
  ];
  const cpuUs = new Map<string, number>();
  let askedOurs = 0;
  const ask = async (contestant: Contestant): Promise<number | undefined> => {
    const { name } = contestant;
    if (failures.has(name)) return undefined;
    try {
      if (contestant === ours || contestant === ours.asArrow) askedOurs++;
      const asked = await contestant.ask(question);
      if (asked) checks.set(name, asked.check);
      return asked?.ms;
    } catch (error) {
      failures.set(name, String(error));
      return undefined;
    }
  };
  for (const contestant of contestants) {
    const until = performance.now() + warmUps.ms;
    const isCold = (count: number) =>
      count < warmUps.countMin || (count < warmUps.countMax && performance.now() < until);
    for (let count = 0; isCold(count); count++) if ((await ask(contestant)) === undefined) break;
  }
  for (let round = 0; round < roundsBefore + asks / inARow; round++) {
    if (round === roundsBefore)
      for (const { name, pid } of contestants) if (pid) cpuUs.set(name, readUsage(pid()).cpuUs);
    for (const contestant of turnsOf(contestants, round))
      for (let count = 0; count < inARow; count++) {
        const ms = await ask(contestant);
        if (ms !== undefined && round >= roundsBefore)
          times.set(contestant.name, [...(times.get(contestant.name) ?? []), ms]);
      }
  }
  const cpuMs = new Map<string, number>();
  for (const { name, pid } of contestants)
    if (pid) {
      const answers = contestants
        .filter((other) => other.pid?.() === pid())
        .flatMap((other) => times.get(other.name) ?? []);
      cpuMs.set(name, (readUsage(pid()).cpuUs - (cpuUs.get(name) ?? 0)) / 1_000 / answers.length);
    }
  const after = await ours.storeReads();
  const truth = checks.get(duckDb.name);
  const differing = [...checks].filter(([, check]) => !truth || !areSame(check, truth)).map(([name]) => name);
  return {
    question,
    times,
    cpuMs,
    failures,
    differing,
    truth,
    checks,
    faraway: [],
    cost: ours.costs.get(question.name),
    storeReads: readsBetween(before, after),
    asked: askedOurs,
  };
}

/** Ours cold over S3, each question to a process that has just started with nothing. */
async function measureFaraway(
  owner: Owner,
  {
    folder,
    bucket,
    found,
    options,
  }: { folder: string; bucket: S3TestStore; found: readonly Found[]; options: BenchOptions },
): Promise<void> {
  options.note('the lake goes into the bucket');
  const store = await copyToBucket(owner, bucket, join(folder, 'store'));
  const ours = await openOurs(owner, folder, { store, dataDir: 'faraway' });
  for (const one of found) {
    options.note(`cold over S3: ${one.question.name}`);
    for (let run = 0; run < options.cold; run++) {
      await ours.restartEmpty();
      const before = await ours.storeReads();
      const asked = await ours.ask(one.question);
      const reads = readsBetween(before, await ours.storeReads());
      if (!asked) continue;
      const isRight = one.truth !== undefined && areSame(asked.check, one.truth);
      one.faraway.push({ ms: asked.ms, isRight, started: before, reads });
    }
  }
}

async function measureCold(question: Question, ours: Ours, runs: number): Promise<Times> {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    await ours.restartEmpty();
    const asked = await ours.ask(question);
    if (asked) times.push(asked.ms);
  }
  return times;
}
