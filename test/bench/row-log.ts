/**
 * `node row-log.js <path> <per second> <seconds> <group ms>`: what edge-writes compares with. One SQLite row per message,
 * WAL and synchronous=FULL as the agent has it; a transaction per message (0 ms) or per group. Prints the bytes written.
 */
import Database from 'better-sqlite3';
import { systemClock } from '@varve/common/clock.js';
import { plantMessages } from './plant-messages.js';
import { readUsage } from './process-usage.js';
import type { PlainMessage } from './mqtt-packets.js';

const [path = '', ...numbers] = process.argv.slice(2);
const [perSecond = 0, seconds = 0, groupMs = 0] = numbers.map(Number);

const db = new Database(path);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec(`CREATE TABLE messages (
  seq INTEGER PRIMARY KEY, source TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
  packet_id INTEGER NOT NULL, arrived_ms INTEGER NOT NULL) STRICT`);
const insert = db.prepare('INSERT INTO messages VALUES (NULL, ?, ?, ?, ?, ?)');
let packetId = 0;
const insertAll = db.transaction((group: readonly PlainMessage[]) => {
  for (const { topic, payload } of group)
    insert.run(
      'plant',
      topic,
      Buffer.from(payload),
      (packetId = (packetId % 65_535) + 1),
      systemClock.nowMs(),
    );
});

const messages = plantMessages(perSecond * seconds);
const before = readUsage('self').writtenBytes;
const startedMs = systemClock.monotonicMs();
let open: PlainMessage[] = [];
let openedMs = 0;
let commits = 0;

for (const [index, message] of messages.entries()) {
  const dueMs = startedMs + (index * 1_000) / perSecond;
  while (systemClock.monotonicMs() < dueMs) {
    commitIfDue();
    await systemClock.sleep(1);
  }
  if (open.length === 0) openedMs = systemClock.monotonicMs();
  open.push(message);
  commitIfDue();
}
commit();
process.stdout.write(JSON.stringify({ writtenBytes: readUsage('self').writtenBytes - before, commits }));
db.close();

function commitIfDue(): void {
  if (open.length > 0 && systemClock.monotonicMs() - openedMs >= groupMs) commit();
}

function commit(): void {
  if (open.length === 0) return;
  insertAll.immediate(open);
  commits++;
  open = [];
}
