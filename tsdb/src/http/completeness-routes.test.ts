/** `/completeness` and `/gaps` with real shipments: lanes, epochs, numbers that are missing, and agents that say nothing. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { noonUs } from '../ingest/lake.test.fixture.js';
import { openLakeServer, type LakeServer } from './lake-server.test.fixture.js';

let server: LakeServer;
const window = 'start=2026-03-01T12:00:00Z&end=2026-03-01T13:00:00Z';
const row = (minute: number, device = 'dev-1') => ({ time: noonUs + minute * 60_000_000, device, v: minute });
const report = async (agent: string) =>
  await server.lake.store.put(
    `agents/${agent}/status.json`,
    Buffer.from(JSON.stringify({ oldest_unshipped_seconds: 0, uptime_seconds: 1e7, sources: {} })),
  );

interface ShownAgent {
  readonly agent: string;
  readonly complete_until: string | null;
  readonly missing_shipments?: { readonly from: number; readonly before: number };
}
const agentsOf = async (table: string) =>
  (await server.ask(`tables/${table}/completeness`)).body['agents'] as ShownAgent[];
const missingOf = async (table: string) =>
  (await agentsOf(table)).map(({ agent, missing_shipments: missing }) => [
    agent,
    missing && [missing.from, missing.before],
  ]);
const gapsOf = async (table: string, query = window) =>
  (await server.ask(`tables/${table}/gaps?${query}&min=5m`)).body['gaps'] as {
    seconds: number;
    cause: string;
  }[];

before(async () => {
  server = await openLakeServer();
  for (const agent of ['hall', 'idle']) await report(agent);
});
after(() => server.close());

test('an agent with two lanes and a new epoch is one agent; one that never shipped is none', async () => {
  const table = 'lanes';
  const common = { table, agent: 'hall' };
  await server.take(
    { ...common, lane: 'live', seq: 1, rows: [row(0)] },
    { ...common, lane: 'backlog', seq: 1, rows: [row(1)] },
    { ...common, lane: 'live', epoch: 'e2', seq: 1, rows: [row(2)] },
  );
  const agents = await agentsOf(table);
  assert.deepEqual(
    agents.map(({ agent, missing_shipments: missing }) => [agent, missing]),
    [['hall', undefined]],
  );
  assert.match(String(agents[0]?.complete_until), /^20\d\d-/);
});

test('a number that is missing in the middle is named until its shipment comes, were it empty', async () => {
  const common = { table: 'middle', agent: 'hall', lane: 'live' };
  await server.take({ ...common, seq: 1, rows: [row(0)] }, { ...common, seq: 3, rows: [row(20)] });
  assert.deepEqual(await missingOf('middle'), [['hall', [2, 3]]]);
  // As an agent sends it whose bytes are gone for good.
  await server.take({ ...common, seq: 2, rows: [] });
  assert.deepEqual(await missingOf('middle'), [['hall', undefined]]);
  assert.equal((await gapsOf('middle'))[0]?.seconds, 40 * 60);
});

test('a number that is missing at the start of a lane is named', async () => {
  const common = { table: 'start', agent: 'hall', lane: 'live' };
  await server.take({ ...common, seq: 1, rows: [row(0)] });
  await server.take({ ...common, lane: 'backlog', seq: 2, rows: [row(1)] });
  assert.deepEqual(await missingOf('start'), [['hall', [1, 2]]]);
});

test('of an agent that leaves no report nothing is claimed, and its gaps are the network’s', async () => {
  await server.take({ table: 'silent', agent: 'mute', lane: 'live', seq: 1, rows: [row(0), row(10)] });
  const { body } = await server.ask('tables/silent/completeness');
  assert.equal(body['complete_until'], null);
  assert.deepEqual(
    (await gapsOf('silent')).map(({ seconds, cause }) => [seconds, cause]),
    [
      [50 * 60, 'network'],
      [10 * 60, 'network'],
    ],
  );
});

test('a window without rows has no gaps', async () => {
  for (const query of ['start=2020-01-01&end=2020-01-02', 'start=2040-01-01&end=2040-01-02'])
    assert.deepEqual(await gapsOf('lanes', query), []);
});

test('tables that are not there, or not for a token, are not found', async () => {
  for (const what of ['gaps', 'completeness'])
    assert.equal((await server.ask(`tables/none/${what}`)).body['code'], 'table_not_found');
  const guarded = await openLakeServer({ hasTokens: true });
  const token = await guarded.token('read:energy');
  await guarded.take({ seq: 1, rows: [row(0)] });
  for (const what of ['gaps', 'completeness']) {
    const headers = { authorization: `Bearer ${token}` };
    assert.equal((await guarded.ask(`tables/climate/${what}`, { headers })).body['code'], 'table_not_found');
  }
  await guarded.close();
});
