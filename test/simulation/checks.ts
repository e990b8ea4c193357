/**
 * What must be true when everything has healed and nothing is left to do (DESIGN I1 to I4): every message that was
 * acknowledged is in the store once or counted in the ledger, each lane in order and without gaps, and nothing is left over.
 */
import { parseInboxKey } from '@varve/common/contract/object-keys.js';
import { lossesTable } from '@varve/edge-agent/ship/losses-batch.js';
import type { Effects } from './effects.js';
import type { FakeBroker } from './fake-broker.js';
import type { FakeDisk } from './fake-disk.js';
import type { FakeLog } from './fake-log.js';
import {
  aggregatedTable,
  aggregateEveryMs,
  nobodysTopic,
  reducedTable,
  streams,
  type FakeMessage,
} from './fake-messages.js';
import type { FakeStore } from './fake-store.js';
import { checkReduced } from './check-reduced.js';
import type { Row } from './shipped-rows.js';

export interface Remains {
  readonly effects: Effects;
  readonly log: FakeLog;
  readonly disk: FakeDisk;
  readonly broker: FakeBroker;
  readonly store: FakeStore;
  readonly messages: readonly FakeMessage[];
  /** There is no room to remember anything of series. */
  readonly isEverythingShipped: boolean;
}

export function checkOutcome(remains: Remains): void {
  checkShipments(remains);
  checkMessages(remains);
  checkLedger(remains);
  checkAggregates(remains);
  checkReduced(remains);
  checkLeftovers(remains);
}

/** Numbers without gaps; along a lane, later shipments are of later messages. */
function checkShipments({ effects, store }: Remains): void {
  const lanes = new Map<string, { seq: number; lastLogSeq: number }>();
  for (const [key, { metadata, rows }] of store.objects) {
    const { lane, table, seq } = metadata;
    const before = lanes.get(`${lane}/${table}`) ?? { seq: 0, lastLogSeq: 0 };
    if (parseInboxKey(key)?.seq !== seq || seq !== before.seq + 1)
      effects.violate(`${key} follows number ${before.seq}`);
    // A shipment of the ledger alone is made of no messages, partials of older ones too.
    const isInOrder = metadata.firstLogSeq > before.lastLogSeq;
    if (!isInOrder && table !== lossesTable && table !== aggregatedTable)
      effects.violate(`${key} goes back to message ${metadata.firstLogSeq}`);
    lanes.set(`${lane}/${table}`, { seq, lastLogSeq: metadata.lastLogSeq });
    if (rows.length !== metadata.rowCount) effects.violate(`${key} has ${rows.length} rows`);
  }
}

function checkMessages({ effects, log, broker, store, messages }: Remains): void {
  const shipped = new Map<number, number>();
  for (const { metadata, rows } of store.objects.values())
    if (metadata.table !== lossesTable && metadata.table !== aggregatedTable)
      for (const { id } of rows) shipped.set(Number(id), (shipped.get(Number(id)) ?? 0) + 1);
  const times = new Map<number, number>();
  for (const { id } of log.logged.values()) times.set(id, (times.get(id) ?? 0) + 1);
  for (const { id } of messages) {
    const rows = shipped.get(id) ?? 0;
    if (rows > 1 && !log.releasedIds.has(id)) effects.violate(`message ${id} is in the store ${rows} times`);
    if (rows > (times.get(id) ?? 0)) effects.violate(`message ${id} has more rows than it was logged`);
    if (broker.acknowledged.has(id) && !times.has(id))
      effects.violate(`message ${id} was acknowledged and is not in the log`);
  }
  for (const id of shipped.keys())
    if (!times.has(id)) effects.violate(`a row of message ${id}, which the log never had`);
}

/** Stream by stream, what was logged and is in no table is what the ledger says. */
function checkLedger({ effects, log, store }: Remains): void {
  const missing = new Map<string, number>();
  const add = (stream: string, count: number) => missing.set(stream, (missing.get(stream) ?? 0) + count);
  for (const { stream } of log.logged.values()) add(stream === nobodysTopic ? '' : stream, 1);
  const keys = new Set<string>();
  const lost = new Map<string, number>();
  for (const { metadata, rows } of store.objects.values()) {
    if (metadata.table === aggregatedTable) continue;
    if (metadata.table !== lossesTable) add(metadata.table, -rows.length);
    else
      for (const row of rows) {
        const key = `${row['time'] ?? ''} ${row['kind'] ?? ''} ${row['stream'] ?? ''}`;
        if (keys.has(key)) effects.violate(`two rows of the ledger are one in the table: ${key}`);
        keys.add(key);
        countLoss(row, lost);
      }
  }
  for (const stream of new Set([...missing.keys(), ...lost.keys()]))
    if (stream !== reducedTable && (missing.get(stream) ?? 0) !== (lost.get(stream) ?? 0))
      effects.violate(
        `stream "${stream}" misses ${missing.get(stream) ?? 0} messages, the ledger says ${lost.get(stream) ?? 0}`,
      );
}

function countLoss(row: Row, lost: Map<string, number>): void {
  const stream = String(row['stream'] ?? '');
  // Partials, not messages.
  if (stream === aggregatedTable) return;
  const count = row['kind'] === 'replayed' ? -Number(row['count']) : Number(row['count']);
  lost.set(stream, (lost.get(stream) ?? 0) + count);
}

/** The partials of each window add up to its rows. */
function checkAggregates({ effects, log, store }: Remains): void {
  const counts = new Map<number, { rows: number; ids: number; parts: Set<string> }>();
  const countOf = (startUs: number) => {
    const count = counts.get(startUs) ?? { rows: 0, ids: 0, parts: new Set<string>() };
    counts.set(startUs, count);
    return count;
  };
  let isLost = log.releasedIds.size > 0;
  for (const { metadata, rows } of store.objects.values())
    for (const row of rows) {
      if (metadata.table === lossesTable) isLost ||= row['stream'] === aggregatedTable;
      if (metadata.table === streams[0]?.name) {
        const everyUs = aggregateEveryMs * 1_000;
        const count = countOf(Math.floor(Number(row['time']) / everyUs) * everyUs);
        count.rows++;
        count.ids += Number(row['id']);
      }
      if (metadata.table !== aggregatedTable) continue;
      const count = countOf(Number(row['time']));
      count.rows -= Number(row['id_count']);
      count.ids -= Number(row['id_sum']);
      const part = String(row['part']);
      if (count.parts.has(part)) effects.violate(`two partials of one window are one: ${part}`);
      count.parts.add(part);
    }
  // A partial whose file is damaged is in the ledger; what was stored twice counts twice.
  if (isLost) return;
  for (const [startUs, { rows, ids }] of counts)
    if (rows !== 0 || ids !== 0)
      effects.violate(`the window at ${startUs} misses ${rows} rows, ${ids} in sum`);
}

function checkLeftovers({ effects, log, disk }: Remains): void {
  if (disk.fileCount > 0) effects.violate(`${disk.fileCount} files are left in the outbox`);
  const { nextSeq, endSeq } = log.tables;
  if (nextSeq < endSeq) effects.violate(`the position is ${nextSeq}, the log ends at ${endSeq}`);
}
