/**
 * Bodies on their way to S3. Of one PutObject: small ones are held in memory, so that the request's signature covers
 * them; larger files are streamed with their length and MD5, which every S3 server checks. Of a multipart upload: range
 * by range, each held in memory while it is sent.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../errors.js';
import type { ByteRange, ObjectBody } from './store.js';

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

export type ReadRange = (range: ByteRange) => Promise<Uint8Array>;

export async function sizeOfBody(body: ObjectBody): Promise<number> {
  return body instanceof Uint8Array ? body.length : (await stat(body.path)).size;
}

/** Hands a reader of the body's ranges to `use`, and closes its file when that has ended. */
export async function withBodyRanges<T>(body: ObjectBody, use: (read: ReadRange) => Promise<T>): Promise<T> {
  if (body instanceof Uint8Array)
    return await use(({ start, end }) => Promise.resolve(body.subarray(start, end)));
  const file = await open(body.path);
  try {
    return await use((range) => readRange(file, body.path, range));
  } finally {
    await file.close();
  }
}

async function readRange(file: FileHandle, path: string, { start, end }: ByteRange): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
  if (bytesRead === bytes.length) return bytes;
  throw new Failure('store_unavailable', `${path} became shorter while it was put`);
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
    throw new Failure('body_too_large', `${path} has ${size} bytes, S3 takes ${bodyBytesMax} at once`, {
      hint: 'put smaller objects, or use a store that honours If-None-Match: * on CompleteMultipartUpload',
    });
  const md5 = await readMd5(path);
  const stream = createReadStream(path, { end: size - 1 });
  return { input: { Body: stream, ContentLength: size, ContentMD5: md5 }, stream };
}

async function readMd5(path: string): Promise<string> {
  const digest = createHash('md5');
  await pipeline(createReadStream(path), digest);
  return digest.digest('base64');
}
