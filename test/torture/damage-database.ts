/** Corrupted bytes in an agent's database, while it does not run: in the file, or in its write-ahead log. */
import { closeSync, fstatSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const damageBytes = 512;

/** `chance` in [0, 1) says which bytes. Returns false where there is nothing to damage. */
export function damageDatabase(dataDir: string, chance: number): boolean {
  const database = join(dataDir, 'edge.sqlite');
  const walBytes = statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  // The digits behind the first decide where, so that both halves see every place.
  const isWal = walBytes > damageBytes && chance < 0.5;
  return overwrite(isWal ? `${database}-wal` : database, (chance * 2) % 1);
}

function overwrite(path: string, part: number): boolean {
  const file = openSync(path, 'r+');
  try {
    const room = fstatSync(file).size - damageBytes;
    if (room <= 0) return false;
    writeSync(file, Buffer.alloc(damageBytes, 0xa5), 0, damageBytes, Math.floor(room * part));
    return true;
  } finally {
    closeSync(file);
  }
}
