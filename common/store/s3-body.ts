/**
 * The body of one PutObject: small ones are held in memory, so that the request's signature covers them; larger files are
 * streamed with their length and MD5, which every S3 server checks.
 */
import { createHash } from 'node:crypto';
import { open, readFile, type FileHandle } from 'node:fs/promises';
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

/** Hands the body to `use`, and closes the file when that has ended. */
export async function withS3Body<T>(body: ObjectBody, use: (body: S3Body) => Promise<T>): Promise<T> {
  if (body instanceof Uint8Array) return await use(inMemory(body));
  const handle = await open(body.path);
  try {
    const { size } = await handle.stat();
    if (size > bodyBytesMax)
      throw new Failure('body_too_large', `${body.path} has ${size} bytes, S3 takes ${bodyBytesMax} at once`);
    return await use(
      size <= bytesInMemoryMax ? inMemory(await readFile(handle)) : await streamed(handle, size),
    );
  } finally {
    await handle.close();
  }
}

function inMemory(bytes: Uint8Array): S3Body {
  return { input: { Body: bytes, ContentLength: bytes.length } };
}

async function streamed(handle: FileHandle, bytes: number): Promise<S3Body> {
  const digest = createHash('md5');
  await pipeline(handle.createReadStream({ start: 0, autoClose: false }), digest);
  const stream = handle.createReadStream({ start: 0, end: bytes - 1, autoClose: false });
  return { input: { Body: stream, ContentLength: bytes, ContentMD5: digest.digest('base64') }, stream };
}
