/**
 * Of a stream that is reduced: what is in the store is what one agent would have shipped that was never killed and took all
 * messages at once – the rows are a function of the log. Where messages were jumped over, evicted or damaged, reducing begins
 * anew at places that only that schedule knows: then no reading is far from all that were shipped before it.
 */
import type { OpenBatches } from '@varve/edge-agent/decode/append-rows.js';
import { Router } from '@varve/edge-agent/decode/router.js';
import { RowFolder } from '@varve/edge-agent/reduce/fold-rows.js';
import { composeRows } from '@varve/edge-agent/reduce/reduced-columns.js';
import { SeriesStates } from '@varve/edge-agent/reduce/series-states.js';
import type { Remains } from './checks.js';
import { reducedTable, streams } from './fake-messages.js';
import { readRows, type Row } from './shipped-rows.js';

export function checkReduced(remains: Remains): void {
  const { effects, log, store } = remains;
  const shipped = [...store.objects.values()].flatMap(({ metadata, rows }) =>
    metadata.table === reducedTable ? rows : [],
  );
  const { totals } = log.tables;
  if (totals.has('evicted') || totals.has('set_aside')) return;
  const { all, expected } = reduceAtOnce(remains);
  if (!log.hasJumped && !remains.isEverythingShipped) {
    const [seen, wanted] = [shipped, expected].map((rows) => rows.map(show).sort().join('\n'));
    if (seen !== wanted) effects.violate(`the reduced stream shipped\n${seen}\ninstead of\n${wanted}`);
    if (shipped.length < all.length) effects.seen.add('rows left out');
    return;
  }
  const shippedIds = new Set(shipped.map(({ id }) => id));
  for (const row of all) {
    if (shippedIds.has(row['id'] ?? -1)) continue;
    const isNear = (other: Row) =>
      Number(other['time']) < Number(row['time']) &&
      Math.abs(Number(other['level']) - Number(row['level'])) <= 1;
    if (remains.isEverythingShipped || !shipped.some(isNear))
      effects.violate(`row ${show(row)} was left out, and nothing like it was shipped before`);
  }
}

function reduceAtOnce({ log, messages }: Remains): { all: Row[]; expected: Row[] } {
  const router = new Router(streams);
  const batches: OpenBatches = new Map();
  const payloads = new Map(messages.map(({ id, payload }) => [id, payload]));
  for (const [seq, { id, stream }] of [...log.logged].sort(([a], [b]) => a - b)) {
    const message = { topic: stream, payload: payloads.get(id) ?? new Uint8Array(), packetId: 0 };
    if (stream === reducedTable)
      router.route({ ...message, seq, arrivedMs: 0, arrivedUs: 0, source: 'plant' }, batches);
  }
  const rows = batches.get(`main.${reducedTable}`)?.batch.finish();
  const config = streams.find(({ name }) => name === reducedTable)?.reduce;
  if (!rows || !config) return { all: [], expected: [] };
  const folder = new RowFolder(new SeriesStates('', true, 1e6), config);
  const { leaves, leavingCount } = folder.fold(rows);
  const released = folder.released.rowCount > 0 ? folder.released.finish() : undefined;
  return { all: readRows(rows), expected: readRows(composeRows(rows, leaves, leavingCount, released)) };
}

function show({ time, id, level, drift }: Row): string {
  return [time, id, level, drift].join(' ');
}
