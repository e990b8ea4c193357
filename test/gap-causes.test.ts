/**
 * `/gaps` and the loss ledger: rows of table `varve_losses` made and encoded by the agent's own code, judged by tsdb.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { formatInboxKey } from '@varve/common/contract/object-keys.js';
import { formatShipmentMetadata } from '@varve/common/contract/shipment.js';
import { encodeShipment } from '@varve/edge-agent/encode/encode-shipment.js';
import type { DeadLetter } from '@varve/edge-agent/log/edge-log.js';
import { lossesOfDeadLetters, lossOfReplayed, type Loss } from '@varve/edge-agent/log/loss.js';
import { lossesBatch, lossesDestination } from '@varve/edge-agent/ship/losses-batch.js';
import { openLakeServer, type LakeServer } from '@varve/tsdb/http/lake-server.test.fixture.js';
import { noonUs } from '@varve/tsdb/ingest/lake.test.fixture.js';

const at = (minute: number) => noonUs / 1_000 + minute * 60_000;

/** As the agent ships its ledger. */
async function shipLosses(server: LakeServer, agent: string, losses: readonly Loss[]): Promise<void> {
  const rows = losses.map((loss, id) => ({ ...loss, id, timeUs: loss.whenMs * 1_000 + id }));
  const columns = lossesBatch(agent, rows).finish();
  const key = { agent, epoch: 'e1', lane: 'live', ...lossesDestination, seq: 1 };
  const { rowCount, originalNames } = columns;
  const tags = columns.tags.map(({ name }) => name);
  const facts = { rowCount, originalNames, tags, firstLogSeq: 1, lastLogSeq: 0 };
  const bytes = encodeShipment(columns, formatShipmentMetadata({ ...key, ...facts }));
  assert.ok(await server.lake.store.putIfAbsent(formatInboxKey(key), bytes));
}

const letter = (minute: number, stream: string | null): DeadLetter => ({
  ...{
    seq: minute,
    source: 'plant',
    topic: 'plant/a/climate',
    payload: Buffer.from('?'),
    arrivedMs: at(minute),
  },
  ...{ stream, refusedBy: [], code: 'not_json', reason: 'it is no JSON' },
});
const deadLetters = (stream: string | null) =>
  lossesOfDeadLetters([letter(4, stream), letter(6, stream)], at(40));
const lost = (
  kind: Loss['kind'],
  firstMinute: number | null,
  lastMinute: number | null,
  count = 9,
): Loss => ({
  ...{ whenMs: at(40), kind, stream: null, firstSeq: 1, lastSeq: 9, count, bytes: 900, reason: 'for a test' },
  firstMs: firstMinute === null ? null : at(firstMinute),
  lastMs: lastMinute === null ? null : at(lastMinute),
});

/** Each has a table and an agent of its own. The agent is well: what it has lost is all that may be to blame. */
const cases: [what: string, losses: Loss[], minute0To10: string, minute10To30: string, table?: string][] = [
  ['nothing is lost', [], 'sensor', 'sensor', 'plain'],
  ['messages were evicted', [lost('evicted', 12, 20)], 'sensor', 'agent'],
  ['the stream could not read messages', deadLetters('own'), 'agent', 'sensor', 'own'],
  ['no stream wanted them', deadLetters(null), 'agent', 'sensor'],
  ['a stream without a table of its name could not read them', deadLetters('stream'), 'agent', 'sensor'],
  ['the stream of another table could not read them', deadLetters('plain'), 'sensor', 'sensor'],
  ['the stream of these aggregates could not read them', deadLetters('plain'), 'agent', 'sensor', 'plain_1m'],
  ['dead letters were replayed', [lossOfReplayed([letter(4, null)], at(40))], 'sensor', 'sensor'],
  ['dead letters were forgotten', [lost('dead_letters_dropped', 4, 6)], 'sensor', 'sensor'],
  ['arrivals were put right', [lost('clock_corrected', 4, 6)], 'sensor', 'sensor'],
  ['arrivals are not trusted', [lost('clock_untrusted', 4, 6)], 'sensor', 'sensor'],
  ['a block is damaged, and what came behind it is known', [lost('set_aside', null, 8)], 'agent', 'sensor'],
  ['a block is damaged, and what came before it is known', [lost('set_aside', 12, null)], 'sensor', 'agent'],
  ['a block is damaged, and nothing else is left', [lost('set_aside', null, null)], 'agent', 'agent'],
  ['a note about a salvage', [lost('set_aside', null, null, 0)], 'sensor', 'sensor'],
];
const named = cases.map(([what, losses, first, second, table], index) => ({
  ...{ what, losses, first, second, agent: `agent-${index}`, table: table ?? `table_${index}` },
}));

async function openWith(agents: readonly { agent: string; table: string; losses: readonly Loss[] }[]) {
  const server = await openLakeServer();
  const well = { oldest_unshipped_seconds: 0, uptime_seconds: 1e7, sources: {} };
  for (const { agent, losses } of agents) {
    await server.lake.store.put(`agents/${agent}/status.json`, Buffer.from(JSON.stringify(well)));
    if (losses.length > 0) await shipLosses(server, agent, losses);
  }
  const rows = [0, 10, 30].map((minute) => ({ time: at(minute) * 1_000, device: 'dev-1', v: minute }));
  await server.take(...agents.map(({ agent, table }) => ({ agent, table, lane: 'live', seq: 1, rows })));
  return server;
}

/** Of the gap of ten minutes and that of twenty. */
async function causesOf(server: LakeServer, table: string): Promise<unknown> {
  const window = 'start=2026-03-01T12:00:00Z&end=2026-03-01T12:31:00Z&min=5m';
  const { status, body } = await server.ask(`tables/${table}/gaps?${window}`);
  assert.equal(status, 200, JSON.stringify(body));
  const gaps = body['gaps'] as { seconds: number; cause: string; reason: string }[];
  assert.deepEqual(
    gaps.map(({ seconds }) => seconds),
    [20 * 60, 10 * 60],
  );
  for (const { cause, reason } of gaps) if (cause === 'agent') assert.match(reason, /has lost messages/);
  return gaps.map(({ cause }) => cause).reverse();
}

let server: LakeServer;
before(async () => {
  server = await openWith(named);
});
after(() => server.close());

for (const { what, first, second, table } of named)
  test(`${what}: the gaps are the ${first}'s and the ${second}'s`, async () => {
    assert.deepEqual(await causesOf(server, table), [first, second]);
  });

test('a ledger in which no arrival is known has no columns for it', async () => {
  const lake = await openWith([{ agent: 'hall', table: 'climate', losses: [lost('set_aside', null, null)] }]);
  assert.deepEqual(await causesOf(lake, 'climate'), ['agent', 'agent']);
  await lake.close();
});
