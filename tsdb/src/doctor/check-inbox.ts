/**
 * Looks at what waits for `varve-tsdb serve`, for `varve-tsdb doctor`: shipments that nobody takes in, lanes that wait for a
 * missing one, and quarantine.
 */
import { inboxPrefix, parseInboxKey, quarantinePrefix } from '@varve/common/contract/object-keys.js';
import type { Store } from '@varve/common/store/store.js';
import type { DeltaCatalog } from '../delta/catalog.js';
import { formatTableName } from '../delta/table-metadata.js';
import { laneAppId } from '../delta/lane-app-id.js';
import type { Finding } from './finding.js';

/** A server at work takes shipments in within seconds. */
const waitingMsMax = 10 * 60_000;
const lanesNamedMax = 50;

interface WaitingLane {
  readonly table: string;
  readonly lane: string;
  readonly committedSeq: number;
  readonly firstSeq: number;
  count: number;
  oldestMs: number;
}

export async function checkInbox(store: Store, catalog: DeltaCatalog, nowMs: number): Promise<Finding[]> {
  const lanes = new Map<string, WaitingLane>();
  const findings: Finding[] = [];
  let foreign = 0;
  for await (const { key, modifiedMs } of store.list(inboxPrefix)) {
    const parts = parseInboxKey(key);
    if (!parts) {
      foreign += 1;
      continue;
    }
    const lane = laneAppId(parts);
    const table = formatTableName(parts);
    const id = `${lane} ${table}`;
    const known = lanes.get(id);
    if (known) {
      known.count += 1;
      known.oldestMs = Math.min(known.oldestMs, modifiedMs);
      continue;
    }
    const committedSeq = catalog.get(parts)?.transactions.get(lane) ?? 0;
    lanes.set(id, { table, lane, committedSeq, firstSeq: parts.seq, count: 1, oldestMs: modifiedMs });
  }
  for (const lane of [...lanes.values()].slice(0, lanesNamedMax)) findings.push(...describeLane(lane, nowMs));
  if (foreign > 0)
    findings.push({
      kind: 'inbox',
      text: `${foreign} objects in the inbox are no shipments`,
      remedy: 'varve-tsdb serve moves them into quarantine',
    });
  return findings;
}

function describeLane(
  { table, lane, committedSeq, firstSeq, count, oldestMs }: WaitingLane,
  nowMs: number,
): Finding[] {
  const minutes = Math.round((nowMs - oldestMs) / 60_000);
  const since = new Date(oldestMs).toISOString();
  if (firstSeq > committedSeq + 1)
    return [
      {
        kind: 'inbox',
        table,
        text: `${lane} waits for shipment ${committedSeq + 1} since ${since} (${minutes} min); ${count} wait behind it, from ${firstSeq}`,
        remedy: 'look whether the agent still has it: varve-edge status; quarantine may have it too',
      },
    ];
  if (nowMs - oldestMs < waitingMsMax) return [];
  return [
    {
      kind: 'inbox',
      table,
      text: `${count} shipments of ${lane} wait since ${since} (${minutes} min)`,
      remedy: 'see that varve-tsdb serve runs on this store, and what its log says',
    },
  ];
}

export async function checkQuarantine(store: Store): Promise<Finding[]> {
  let [count, bytes, newestMs, example] = [0, 0, 0, ''];
  for await (const object of store.list(quarantinePrefix)) {
    if (object.key.endsWith('.reason.json')) continue;
    count += 1;
    bytes += object.bytes;
    if (object.modifiedMs <= newestMs) continue;
    newestMs = object.modifiedMs;
    example = object.key;
  }
  if (count === 0) return [];
  return [
    {
      kind: 'quarantine',
      text: `${count} shipments (${(bytes / 1e6).toFixed(1)} MB) are in quarantine, the newest of ${new Date(newestMs).toISOString()}`,
      remedy: `read ${example}.reason.json; delete both objects when they are of no use`,
    },
  ];
}
