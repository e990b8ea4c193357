/**
 * The high-water mark: how far the edge database had come, in a file of its own beside it, `edge.mark`.
 *
 * SQLite takes a write-ahead log up to its first damaged frame and says nothing of what followed; a file that was cut, or
 * a page that is gone, looks like a database that had never come so far. Acknowledged messages would be missing in silence,
 * and numbers of shipments be given out twice. So after each transaction the mark is written over in place. It is not
 * synced, since a second fsync per group would double what a card bears: after a power cut it may be some seconds old. It
 * is a lower bound, and a database behind it is damaged.
 *
 *     varve 1 <agent> <epoch> <keepSeq> <nextSeq> <endSeq> <shipments> <CRC-32 of all before, hex>, spaces up to 256 bytes
 */
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';

export interface HighWater {
  readonly agent: string;
  readonly epoch: string;
  /** The first message that the store may not have yet. */
  readonly keepSeq: number;
  /** The first message in no shipment. */
  readonly nextSeq: number;
  /** One more than the newest message's number. */
  readonly endSeq: number;
  /** The next shipment's numbers of all lanes, added up. */
  readonly shipments: number;
}

/** Whether a database that has come to `now` has come as far as the mark. */
export function isBehind(now: Omit<HighWater, 'agent' | 'epoch'>, mark: HighWater): boolean {
  return now.endSeq < mark.endSeq || now.nextSeq < mark.nextSeq || now.shipments < mark.shipments;
}

const fileBytes = 256;

export function markPathOf(databasePath: string): string {
  return databasePath.replace(/\.sqlite$/, '.mark');
}

export class HighWaterFile {
  #file: number | undefined;
  #text = '';

  constructor(path: string) {
    this.#file = tryOpen(path);
  }

  /** Whatever goes wrong with it: an old mark is a lower bound as well. */
  write(mark: HighWater): void {
    const text = formatMark(mark);
    if (text === this.#text || this.#file === undefined) return;
    try {
      writeSync(this.#file, text.padEnd(fileBytes), 0);
      ftruncateSync(this.#file, fileBytes);
      this.#text = text;
    } catch {
      this.#text = '';
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function tryOpen(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT);
  } catch {
    return undefined;
  }
}

/** Undefined where there is none, or it is damaged. */
export function readMark(path: string): HighWater | undefined {
  try {
    return parseMark(readFileSync(path, 'latin1'));
  } catch {
    return undefined;
  }
}

export function formatMark({ agent, epoch, keepSeq, nextSeq, endSeq, shipments }: HighWater): string {
  const text = `varve 1 ${agent} ${epoch} ${keepSeq} ${nextSeq} ${endSeq} ${shipments}`;
  return `${text} ${crc32(text).toString(16)}`;
}

export function parseMark(text: string): HighWater | undefined {
  const [, body = '', agent = '', epoch = '', ...rest] =
    /^(varve 1 (\S+) (\S+) (\d+) (\d+) (\d+) (\d+)) ([0-9a-f]+) *$/.exec(text) ?? [];
  if (body === '' || crc32(body).toString(16) !== rest.pop()) return undefined;
  const [keepSeq = 0, nextSeq = 0, endSeq = 0, shipments = 0] = rest.map(Number);
  return { agent, epoch, keepSeq, nextSeq, endSeq, shipments };
}
