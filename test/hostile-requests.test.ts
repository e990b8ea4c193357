/**
 * A real tsdb and thousands of wrong and hostile requests: made from its own OpenAPI description, from SQL that is spoiled, and what
 * is hardly HTTP. Never a 500, never a crash, and no file is read outside the cache: files that lie about as bait are not touched,
 * by the time of access that the file system keeps.
 *
 * An answer that has begun may break off for one reason only: `cutReasons`. Whatever is wrong with the request itself is found before
 * the first byte, or while the first 4 MiB of rows are held back (`query/query-database.ts`), and must be a refusal.
 */
import { strict as assert } from 'node:assert';
import { statSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, after, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { spoiledStatements } from '@varve/tsdb/query/spoiled-statements.test.fixture.js';
import { brokenRequests, sendRaw } from './hostile/broken-http.js';
import { planRequests, type Description, type HostileRequest } from './hostile/plan-requests.js';
import { temporaryFolder } from './installation.js';
import { ServedLake } from './served-lake.js';
import { seededRandom } from './torture/seeded-random.js';

const seed = Number(process.env.VARVE_HOSTILE_SEED ?? 20_260_301);
const statementCount = 3_000;
const clients = 8;
const answerLimitMs = 90_000;
const cut = 0;
const secret = 'canary-51c9e0';
/** Long before anything was written: a file system that keeps times of access at all moves it at the first reading. */
const longAgo = new Date('2020-01-01T00:00:00Z');
/** Time that is up when part of the answer has left can be told in no other way. */
const cutReasons = ['query_timeout'];
/** What a server may say of itself when it is asked for too much. */
const excuses = ['query_timeout', 'overloaded'];

let lake: ServedLake;
let canaries: string[];
let folder: string;
const cleanups: (() => Promise<void>)[] = [];
const owner = { after: (clean: () => Promise<void>) => void cleanups.push(clean) };
const rowsBefore: unknown[][] = [[40, 780]];

before(async () => {
  folder = temporaryFolder(owner);
  canaries = ['secret.csv', 'secret.json', 'secret.txt', 'secret.parquet'].map((name) => join(folder, name));
  lake = await ServedLake.create(owner);
  const startUs = Date.parse('2026-03-01T12:00:00Z') * 1_000;
  const rows = Array.from({ length: 40 }, (_, index) => ({
    ...{ time: startUs + index * 60_000_000, device: `dev-${index % 4}`, temperature: index, mode: 'run' },
  }));
  for (const table of ['environment', 'victim'])
    await lake.put({ table, rows, types: { temperature: 'double', mode: 'string' } });
  await lake.start();
  await lake.drained();
  for (const path of canaries) {
    writeFileSync(path, `a\n"${secret}"\n`);
    utimesSync(path, longAgo, longAgo);
  }
});
after(async () => {
  for (const clean of cleanups.reverse()) await clean();
});

/** What is wrong with an answer; undefined when it is as it should be. */
async function complaintOf(path: string, init: RequestInit): Promise<{ status: number; complaint?: string }> {
  const signal = AbortSignal.timeout(answerLimitMs);
  const response = await fetch(lake.url + path, { ...init, signal });
  const text = await response.text().catch(() => undefined);
  if (text === undefined) return { status: cut, ...(await complaintOfCut(response)) };
  const { status } = response;
  if (text.includes(secret) || text.includes('root:x:0')) return { status, complaint: 'a file was read' };
  if (status < 400) return { status };
  const problem = JSON.parse(text) as { code?: string; error?: string };
  if (!problem.code || !problem.error)
    return { status, complaint: `a refusal without a reason: ${text.slice(0, 300)}` };
  const isExcused = status < 500 || excuses.includes(problem.code);
  return { status, ...(!isExcused && { complaint: text.slice(0, 300) }) };
}

/** The list of queries says why the answer that began as `response` was broken off. */
async function complaintOfCut({ headers, status }: Response): Promise<{ complaint?: string }> {
  const queryId = headers.get('x-query-id');
  const list = (await (await fetch(`${lake.url}/api/v1/queries`)).json()) as {
    recent: { query_id: string; code?: string; rows: number }[];
  };
  const query = list.recent.find((one) => one.query_id === queryId);
  if (status === 200 && cutReasons.includes(query?.code ?? '')) return {};
  return { complaint: `cut off after ${query?.rows} rows, since ${query?.code}; query ${queryId}` };
}

/** By several clients at once. @returns how often each status came */
async function sendAll<T>(
  requests: Iterable<T>,
  send: (request: T) => Promise<{ status: number; complaint?: string }>,
  describe: (request: T) => string,
): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  const queue = requests[Symbol.iterator]();
  const client = async () => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) {
      const { status, complaint } = await send(next.value).catch((cause: unknown) => {
        throw new Error(`seed ${seed}, no whole answer: ${describe(next.value)}`, { cause });
      });
      assert.equal(complaint, undefined, `seed ${seed}, ${status}: ${describe(next.value)}`);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return statuses;
}

const total = (statuses: ReadonlyMap<number, number>) =>
  [...statuses.values()].reduce((sum, count) => sum + count, 0);

test('every operation, parameter and member of the description, with values that are none', async (context) => {
  const startedMs = systemClock.monotonicMs();
  const description = (await (await fetch(`${lake.url}/openapi.json`)).json()) as Description;
  const requests = [
    ...planRequests(
      description,
      {
        ...{
          perParameter: 14,
          perOperation: 20,
          canaries: canaries.flatMap((path) => [path, `file://${path}`]),
        },
        good: {
          table: 'environment',
          column: 'device',
          sql: 'select count(*) from environment',
          id: 'x',
          timeout: '5s',
        },
        goodOfChanges: { table: 'victim', where: "device = 'dev-1'", start: '2026-03-01', version: '1' },
      },
      seededRandom(seed),
    ),
  ].filter(isHarmless);
  const struck = new Set(requests.map((request) => request.struck));
  const statuses = await sendAll(
    requests,
    ({ method, path, headers, body }) =>
      complaintOf(path, { method, headers, ...(body !== undefined && { body }) }),
    ({ path, body = '', struck }) => `${struck}: ${path.slice(0, 300)} ${body.slice(0, 300)}`,
  );
  const shown = JSON.stringify([...statuses]);
  context.diagnostic(
    `${requests.length} requests at ${struck.size} places in ${Math.round(systemClock.monotonicMs() - startedMs)} ms: ${shown}`,
  );
  assert(total(statuses) >= 2_000, shown);
  assert(struck.size > 90, `only ${struck.size} places`);
  for (const [operation] of Object.entries(description.paths))
    assert(
      [...struck].some((place) => place.includes(` ${operation},`)),
      operation,
    );
});

/** What could change the table that is judged at the end: nobody names it to a change, but by chance. */
function isHarmless({ method, path }: HostileRequest): boolean {
  return method === 'GET' || !path.includes('/environment/');
}

test(`${statementCount} spoiled statements over HTTP, in every format`, async (context) => {
  const formats = ['json', 'jsonl', 'csv', 'arrow', 'parquet', 'pretty'];
  const statements = [
    ...spoiledStatements({ runs: statementCount, seed, secretPath: canaries[0] ?? '' }),
  ].map((sql, index) => ({ sql, format: formats[index % formats.length] }));
  const statuses = await sendAll(
    statements,
    (asked) =>
      complaintOf('/api/v1/query', {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
        body: JSON.stringify({ ...asked, timeout: '2s', max_rows: 100 }),
      }),
    ({ sql, format }) => `${format}: ${JSON.stringify(sql)}`,
  );
  context.diagnostic(JSON.stringify([...statuses]));
  assert((statuses.get(200) ?? 0) > statementCount / 50, JSON.stringify([...statuses]));
});

test('answers that break off are told apart by their reason', async () => {
  const judge = (sql: string, timeout: string) =>
    complaintOf('/api/v1/query', {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ sql, timeout, format: 'csv' }),
    });
  assert.deepEqual(await judge("select repeat('x', 1000), i from range(1000000000) r(i)", '1s'), {
    status: cut,
  });
  const failing =
    "select i, cast(case when i = 3000000 then 'x' else '1' end as int) from range(4000000) r(i)";
  const { status, complaint } = await judge(failing, '60s');
  assert.equal(status, cut);
  assert.match(String(complaint), /^cut off after \d+ rows, since query_failed/);
});

test('what is hardly HTTP', async () => {
  const port = Number(new URL(lake.url).port);
  const answers = await Promise.all(brokenRequests.map((request) => sendRaw(port, request)));
  for (const [index, answer] of answers.entries()) {
    const request = brokenRequests[index]?.slice(0, 80);
    assert(!/^HTTP\/1\.1 500/.test(answer), `${request}: ${answer.slice(0, 200)}`);
    assert(!answer.includes('root:x:0'), request);
  }
});

test('after all of that the same process answers the same, and no bait was touched', async () => {
  assert(lake.process.isRunning, lake.process.output);
  assert.deepEqual(await lake.rows('select count(*), sum(temperature)::int from environment'), rowsBefore);
  for (const path of canaries) assert.deepEqual(statSync(path).atime, longAgo, `${path} was read`);
  const [first = ''] = canaries;
  readFileSync(first);
  if (statSync(first).atime.getTime() === longAgo.getTime())
    throw new Error('this file system keeps no times of access, so that it shows nothing');
});
