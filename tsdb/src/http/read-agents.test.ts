import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { agentProbeKey, agentStatusKey } from '@varve/common/contract/object-keys.js';
import { createHttpServer } from './http-server.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { addAgentRoutes } from './agent-routes.js';
import { readAgents } from './read-agents.js';

const bytesOf = (text: string) => Buffer.from(text);

async function storeWith(agents: Readonly<Record<string, string>>) {
  let listings = 0;
  const count = (operation: string) => void (listings += operation === 'list' ? 1 : 0);
  const store = new MemoryStore({ clock: { ...systemClock, nowMs: () => 1_000 }, faults: { before: count } });
  for (const [agent, text] of Object.entries(agents)) await store.put(agentStatusKey(agent), bytesOf(text));
  return { store, listings: () => listings };
}

test('no agents', async () =>
  assert.deepEqual(await readAgents((await storeWith({})).store, 1_000), { agents: [], truncated: false }));

test('what each agent said, and how long ago by the clock of the store', async () => {
  const { store } = await storeWith({ press: '{"version":"1.2"}', lathe: '{"version":"1.1"}' });
  const { agents } = await readAgents(store, 61_000);
  assert.deepEqual(agents, [
    { agent: 'lathe', age_seconds: 60, status: { version: '1.1' } },
    { agent: 'press', age_seconds: 60, status: { version: '1.2' } },
  ]);
});

test('a document that cannot be read hides nobody', async () => {
  const { store } = await storeWith({ a: '{"half', b: `"${'x'.repeat(1_000_001)}"`, c: '{}' });
  const { agents } = await readAgents(store, 1_000);
  assert.match(agents[0]?.problem ?? '', /is not JSON/);
  assert.match(agents[1]?.problem ?? '', /1000003 bytes/);
  assert.deepEqual(agents[2]?.status, {});
});

test('folders full of other objects are jumped over, and nothing else is taken for a status', async () => {
  const { store, listings } = await storeWith({ a: '{}', b: '{}', c: '{}' });
  for (let index = 0; index < 100; index++) {
    await store.put(agentProbeKey('b', `${index}`), bytesOf('x'));
    await store.put(`agents/b/zzz/${index}`, bytesOf('x'));
    await store.put(`agents/ab/status.json/${index}`, bytesOf('x'));
    await store.put(`agents/stray${index}`, bytesOf('x'));
  }
  const { agents } = await readAgents(store, 1_000);
  assert.deepEqual(
    agents.map(({ agent }) => agent),
    ['a', 'b', 'c'],
  );
  assert(listings() < 10, `${listings()} listings`);
});

test('more than a thousand agents are cut off, and it is said', async () => {
  const names = Array.from({ length: 1_001 }, (_, index) => [`agent-${index}`, '{}']);
  const { store } = await storeWith(Object.fromEntries(names) as Record<string, string>);
  const { agents, truncated } = await readAgents(store, 1_000);
  assert.deepEqual([agents.length, truncated], [1_000, true]);
});

test('GET /api/v1/agents', async () => {
  const { store } = await storeWith({ press: '{"agent":"press"}' });
  const server = createHttpServer({ log: silentLogger(), registry: new Registry(), bodyBytesMax: 1_024 });
  addAgentRoutes(server, { store, clock: { ...systemClock, nowMs: () => 3_000 } });
  const { body } = await server.inject('/api/v1/agents');
  assert.deepEqual(JSON.parse(body), {
    agents: [{ agent: 'press', age_seconds: 2, status: { agent: 'press' } }],
    truncated: false,
  });
  await server.close();
});
