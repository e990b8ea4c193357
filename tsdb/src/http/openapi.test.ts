import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { JobBook } from '../jobs.js';
import { systemClock } from '@varve/common/clock.js';
import { QueryFixture } from '../query/query.test.fixture.js';
import { addJobRoutes } from './job-routes.js';
import { routeDescriptions } from './openapi.js';
import { SensorServer } from './sensor-server.test.fixture.js';

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: {
    readonly content: { readonly 'application/json': { readonly schema: { readonly properties?: object } } };
  };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

let server: SensorServer;
let document: Document;
let operations: { readonly method: string; readonly path: string; readonly operation: Operation }[];

before(async () => {
  const fixture = await QueryFixture.open();
  await fixture.put({
    table: 'machine',
    tags: ['device'],
    fields: { mode: 'string', on: 'boolean', temp: 'double' },
    files: [
      `select timestamptz '2026-01-01 11:00:00Z' + to_minutes(i) as time, 'dev-' || i % 3 as device, 'run' as mode, true as on, ` +
        `i::double as temp, date '2026-01-01' as day from range(50) r(i)`,
    ],
  });
  server = await SensorServer.open(fixture, {
    conflictsOf: () => ({ countedSinceMs: 0, entries: [] }),
  });
  document = (await server.get('/openapi.json')).body as unknown as Document;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
});
after(() => server.close());

test('every route is described, and every description is of a route', () => {
  const described = operations.map(
    ({ method, path }) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
  );
  assert.deepEqual(
    operations.filter(({ operation }) => operation.summary === '').map(({ path }) => path),
    [],
  );
  // Those of versions and jobs need what this server has not.
  const others = Object.keys(routeDescriptions).filter((name) => !described.includes(name));
  assert.deepEqual(
    others.filter((name) => !/versions|restore|delete|jobs|retain/.test(name)),
    [],
  );
  const names: string[] = [];
  const recorder = Object.fromEntries(
    ['get', 'post', 'delete'].map((method) => [
      method,
      (url: string) => names.push(`${method.toUpperCase()} ${url}`),
    ]),
  );
  const jobs = new JobBook(systemClock);
  addJobRoutes(recorder as never, { catalog: server.fixture, jobs, upkeep: undefined as never });
  assert.deepEqual(
    names.filter((name) => !(name in routeDescriptions)),
    [],
  );
});

test('the document is OpenAPI 3.1 in its structure', () => {
  assert.equal(document.openapi, '3.1.0');
  const ids = operations.map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length);
  for (const { path, operation } of operations) {
    const inPath = operation.parameters.filter((one) => one.in === 'path').map(({ name }) => name);
    assert.deepEqual(
      inPath,
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
      path,
    );
    for (const one of operation.parameters)
      assert.ok(one.in === 'query' || one.required, `${path} ${one.name}`);
    const names = operation.parameters.map((one) => `${one.in} ${one.name}`);
    assert.equal(new Set(names).size, names.length, path);
    for (const { description } of Object.values(operation.responses)) assert.ok(description, path);
    assert.ok(
      Object.keys(operation.responses).some((status) => status.startsWith('2')),
      path,
    );
  }
});

test('parameters are those that are checked', () => {
  const query = document.paths['/api/v1/query'];
  assert.ok(query?.['get']?.parameters.some(({ name }) => name === 'max_rows'));
  assert.ok('as_of' in (query?.['post']?.requestBody?.content['application/json'].schema.properties ?? {}));
  const range =
    document.paths['/api/v1/tables/{table}/range']?.['get']?.parameters.map(({ name }) => name) ?? [];
  for (const name of ['table', 'start', 'every', 'fill', 'format', 'tags'])
    assert.ok(range.includes(name), name);
});

const requestCount = 2_000;
const seed = 20_260_101;

/** Mulberry32. */
function randomNumbers(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const hostile = [
  '',
  ' ',
  '0',
  '-1',
  '1e309',
  'NaN',
  'null',
  'true',
  '[]',
  '{}',
  '[[[[',
  '{"__proto__":1}',
  '__proto__',
  'constructor',
  '*',
  '%',
  '\u0000',
  "'; drop table machine; --",
  '"',
  '\\',
  '../../etc/passwd',
  '/etc/passwd',
  'dev-*',
  'device:*',
  'é\u202e😀',
  'x'.repeat(5_000),
  'select 1',
  'from machine',
  "from read_text('/etc/passwd')",
  'select * from machine where device = $1',
  'select $a',
  'with recursive',
  '9999999999999999999',
  '-6h',
  'now',
  '2026-01-01T00:00:00Z',
  '0000-00-00',
  '9999-12-31',
  '1ms',
  '1mo',
  '9999y',
  '5m',
  '1y',
  'avg,p95,time_avg',
  'count',
  'linear',
  'previous',
  '0.5',
  'Europe/Berlin',
  'Mars/Olympus',
  'csv',
  'arrow',
  'parquet',
  'json',
  'ndjson',
  '100',
];
const tables = ['machine', 'machine', 'machine', 'main.machine', 'enviroment'];
const columns = ['device', 'temp', 'mode', 'day', 'time', 'a.b'];

test(`${requestCount} hostile requests made from the description: never a 500, and every refusal says why`, async () => {
  const random = randomNumbers(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const value = (name: string) =>
    name === 'table' && random() < 0.9
      ? pick(tables)
      : random() < 0.3 && name.startsWith('col')
        ? pick(columns)
        : pick(hostile);
  const statuses = new Map<number, number>();
  for (let number = 0; number < requestCount; number++) {
    const { method, path, operation } = pick(operations);
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(value(name)));
    const given = operation.parameters.filter(
      (one) => one.in === 'query' && (one.required === true || random() < 0.25),
    );
    const pairs = given.map(
      ({ name }) => [name === 'tags' ? pick(['device', 'tag.device', 'site']) : name, value(name)] as const,
    );
    if (random() < 0.1) pairs.push([pick(hostile), pick(hostile)]);
    const names = Object.keys(operation.requestBody?.content['application/json'].schema.properties ?? {});
    const body = Object.fromEntries(
      names
        .filter(() => random() < 0.3)
        .map((name) => [name, random() < 0.5 ? value(name) : pick([1, -1, null, true, [], {}, 2e9])]),
    );
    const payload = random() < 0.2 ? pick(hostile) : JSON.stringify(body);
    const answer = await server.server.inject({
      method: method.toUpperCase() as 'GET',
      url: `${url}?${new URLSearchParams(pairs.map(([name, text]): [string, string] => [name, text])).toString()}`,
      headers: {
        accept: pick(['*/*', 'text/csv', 'image/png', 'application/json;q=0', ',,;q=']),
        'accept-encoding': pick(['gzip', 'zstd', 'identity', 'x;q=9']),
        ...(operation.requestBody && {
          'content-type': pick(['application/json', 'text/plain', 'text/xml']),
        }),
      },
      ...(operation.requestBody && { payload }),
    });
    statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
    const asked = `seed ${seed}, request ${number}: ${method} ${url.slice(0, 300)} ${JSON.stringify(pairs).slice(0, 600)} ${payload.slice(0, 300)}`;
    assert.ok(answer.statusCode < 500, `${asked}\n${answer.statusCode} ${answer.body.slice(0, 300)}`);
    if (answer.statusCode < 400) continue;
    const refusal = JSON.parse(answer.body) as { code?: string; error?: string };
    assert.ok(refusal.code && refusal.error, asked);
  }
  assert.ok((statuses.get(200) ?? 0) > requestCount / 10, JSON.stringify([...statuses]));
});
