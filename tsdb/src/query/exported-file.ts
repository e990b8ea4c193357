/**
 * Answers as Parquet files below `<data_dir>/query/exports`, on their way to a client. Removed as soon as they are open: a
 * program that is killed leaves none that it had begun to send, and the folder is emptied at the start.
 *
 * Bound: `bytesMax` of one file, looked at while it grows.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';

const lookEveryMs = 100;

export class ExportFolder {
  readonly path: string;
  readonly #bytesMax: number;

  private constructor(path: string, bytesMax: number) {
    this.path = path;
    this.#bytesMax = bytesMax;
  }

  static async open(path: string, bytesMax: number): Promise<ExportFolder> {
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true });
    return new ExportFolder(path, bytesMax);
  }

  newPath(): string {
    return join(this.path, `${randomUUID()}.parquet`);
  }

  async remove(path: string): Promise<void> {
    await rm(path, { force: true });
  }

  /** Of a file while it is written: it is looked at now and then, and `lookAgain` at the end. */
  watch(path: string, clock: Clock, bytesMax = this.#bytesMax): FileWatch {
    const tooLarge = new AbortController();
    const ended = new AbortController();
    const limit = Math.min(bytesMax, this.#bytesMax);
    const look = async () => {
      const bytes = await stat(path).then(
        ({ size }) => size,
        () => 0,
      );
      if (bytes > limit) tooLarge.abort(resultTooLarge(limit));
    };
    const lookOn = async () => {
      while (!ended.signal.aborted && !tooLarge.signal.aborted) {
        await look();
        await clock.sleep(lookEveryMs, ended.signal);
      }
    };
    void lookOn();
    const lookAgain = async () => {
      await look();
      tooLarge.signal.throwIfAborted();
    };
    return { signal: tooLarge.signal, lookAgain, close: () => ended.abort() };
  }
}

export interface FileWatch {
  /** Aborts with Failure `result_too_large` once the file is. */
  readonly signal: AbortSignal;
  /** @throws the same */
  readonly lookAgain: () => Promise<void>;
  readonly close: () => void;
}

function resultTooLarge(limit: number): Failure {
  return new Failure('result_too_large', `the answer is larger than ${Math.round(limit / 1e6)} MB`, {
    hint: 'ask for it in pieces of time, or for fewer columns',
  });
}

interface ExportedParts {
  readonly path: string;
  readonly rowCount: number;
  readonly queryId: string;
  readonly release: () => Promise<void>;
}

export class ExportedFile {
  readonly queryId: string;
  readonly rowCount: number;
  readonly bytes: number;
  readonly #file: FileHandle;
  readonly #release: () => Promise<void>;

  private constructor({ queryId, rowCount, release }: ExportedParts, file: FileHandle, bytes: number) {
    this.queryId = queryId;
    this.rowCount = rowCount;
    this.bytes = bytes;
    this.#file = file;
    this.#release = release;
  }

  /** The query is over then, and gives its place back; a slow client holds a file, and nothing else. */
  static async open(parts: ExportedParts): Promise<ExportedFile> {
    const file = await open(parts.path);
    await rm(parts.path);
    const { size } = await file.stat();
    await parts.release();
    return new ExportedFile(parts, file, size);
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of this.#file.createReadStream({ autoClose: false })) yield piece as Uint8Array;
    } finally {
      await this.close();
    }
  }

  /** Safe to call twice. */
  async close(): Promise<void> {
    await this.#release();
    await this.#file.close();
  }
}
