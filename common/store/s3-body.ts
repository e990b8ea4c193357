/**
 * The body of one PutObject: small ones are held in memory, so that the request's signature covers them; larger files are
 * streamed with their length and MD5, which every S3 server checks.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../errors.js';
import type { ObjectBody } from './store.js';

/** S3's own limit for one PutObject. */
const bodyBytesMax = 5 * 1024 ** 3;
/** Shipments are smaller as a rule. Every concurrent put may hold this much. */
const bytesInMemoryMax = 8 * 1024 ** 2;

export interface S3Body {
  /** Members of PutObject's input. */
  readonly input: {
    readonly Body: Uint8Array | Readable;
    readonly ContentLength: number;
    readonly ContentMD5?: string;
  };
  /** Emits `error` when the file cannot be read to its end: the request must not wait for the rest. */
  readonly stream?: Readable;
}

/** Hands the body to `use`, and closes its file when that has ended. */
export async function withS3Body<T>(body: ObjectBody, use: (body: S3Body) => Promise<T>): Promise<T> {
  const opened = body instanceof Uint8Array ? inMemory(body) : await openFile(body.path);
  try {
    return await use(opened);
  } finally {
    opened.stream?.destroy();
  }
}

function inMemory(bytes: Uint8Array): S3Body {
  return { input: { Body: bytes, ContentLength: bytes.length } };
}

async function openFile(path: string): Promise<S3Body> {
  const { size } = await stat(path);
  if (size <= bytesInMemoryMax) return inMemory(await readFile(path));
  if (size > bodyBytesMax)
    throw new Failure('body_too_large', `${path} has ${size} bytes, S3 takes ${bodyBytesMax} at once`);
  const md5 = await readMd5(path);
  const stream = createReadStream(path, { end: size - 1 });
  return { input: { Body: stream, ContentLength: size, ContentMD5: md5 }, stream };
}

async function readMd5(path: string): Promise<string> {
  const digest = createHash('md5');
  await pipeline(createReadStream(path), digest);
  return digest.digest('base64');
}
