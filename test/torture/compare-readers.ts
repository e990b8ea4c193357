/** The other tsdbs, and a reader that is not ours, must count the same rows at the end. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startNode, waitFor, type Owner } from '../processes.js';
import { countRows } from './check-rows.js';
import type { Plant } from './plant.js';

/** A tsdb looks for what others committed every few seconds. */
const catchUpLimitMs = 30_000;

/** Returns what is wrong, in words. */
export async function compareReaders(owner: Owner, plant: Plant, rows: number): Promise<string[]> {
  const complaints: string[] = [];
  for (const [index] of plant.tsdbs.entries()) {
    let count: number | undefined;
    const isSame = async () => (count = await countRows((sql) => plant.query(sql, index))) === rows;
    await waitFor('the same count', isSame, catchUpLimitMs).catch(() =>
      complaints.push(`tsdb-${index + 1} counts ${count ?? 'no'} rows, not ${rows}`),
    );
  }
  const { folder } = plant.store;
  if (folder === undefined || rows === 0) return complaints;
  const answer = await askClickHouse(owner, folder);
  if (answer !== String(rows)) complaints.push(`ClickHouse counts ${answer} rows, not ${rows}`);
  return complaints;
}

/** Its count, or what it says instead. */
async function askClickHouse(owner: Owner, folder: string): Promise<string> {
  const table = join(folder, 'tables', 'main', 'torture');
  const script = fileURLToPath(new URL('../ask-clickhouse.js', import.meta.url));
  const sql = `SELECT count() FROM deltaLakeLocal('${table}')`;
  const reader = startNode(owner, script, [sql], { cwd: folder });
  const { code } = await reader.exited;
  if (code !== 0) return reader.output;
  return String((JSON.parse(reader.stdout) as { data: [[string | number]] }).data[0][0]);
}
