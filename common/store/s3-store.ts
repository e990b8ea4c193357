/**
 * A store in an S3 bucket, below an optional prefix. Only the `s3-*.ts` files import the AWS SDK.
 *
 * `putIfAbsent` is PutObject with `If-None-Match: *`:
 *
 * - 200 created; 412 exists; 409 another request for the key is under way: the same again, after a pause, a few times.
 * - Anything else, or no answer, leaves the outcome unknown: `store_unavailable`. One key has one content (DESIGN I4), so
 *   the caller just calls again and learns `exists` if the first call had landed. The SDK must not do that by itself: it
 *   would turn our own success into `exists`, hence a client with a single attempt.
 *
 * Every object is one PutObject, up to S3's 5 GiB, streamed from its file. Multipart uploads are not used on purpose:
 * servers exist that honour the condition on PutObject and ignore it on CompleteMultipartUpload (Ceph 16 does), and
 * uploads that a killed process leaves unfinished cost money without being seen.
 *
 * Objects whose keys no store takes, such as the folder markers of S3 consoles, are not listed.
 */
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type GetObjectCommandOutput,
  type ListObjectsV2CommandOutput,
  type PutObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { planBackoffMs } from '../backoff.js';
import { systemClock, type Clock } from '../clock.js';
import type { StoreConfig } from '../config/store-config.js';
import { Failure } from '../errors.js';
import { assertRange } from './byte-range.js';
import { replaceFile } from './durable-file.js';
import { withS3Body } from './s3-body.js';
import {
  createS3Clients,
  parseS3Url,
  planPutDeadlineMs,
  readDeadlineMs,
  withDeadline,
  type S3Clients,
} from './s3-client.js';
import { S3Deletion } from './s3-delete.js';
import { s3Failure, statusOf } from './s3-failure.js';
import { isStoreKey, requireStoreKey } from './store-key.js';
import type { ByteRange, ListOptions, ObjectBody, ObjectInfo, Store } from './store.js';

const conflictAttemptsMax = 8;
const conflictBackoff = { firstMs: 50, maxMs: 2_000 };

type Condition = { readonly IfNoneMatch: '*' } | Record<string, never>;

export interface S3StoreOptions {
  readonly clock?: Clock;
}

export class S3Store implements Store {
  readonly url: string;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #clients: S3Clients;
  readonly #deletion: S3Deletion;

  private constructor(config: StoreConfig, clock: Clock) {
    const { bucket, prefix } = parseS3Url(config.url);
    this.url = `s3://${bucket}/${prefix}`.replace(/\/$/, '');
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#clock = clock;
    this.#clients = createS3Clients(config);
    this.#deletion = new S3Deletion(this.#clients.repeating, bucket, clock);
  }

  /** Makes no request: `provePutIfAbsent` makes the first. */
  static open(config: StoreConfig, { clock = systemClock }: S3StoreOptions = {}): S3Store {
    return new S3Store(config, clock);
  }

  async put(key: string, body: ObjectBody): Promise<void> {
    await this.#attempt(`put ${key} into`, () => this.#putObject(this.#clients.repeating, key, body, {}));
  }

  async putIfAbsent(key: string, body: ObjectBody): Promise<'created' | 'exists'> {
    return await this.#attempt(`create ${key} in`, async () => {
      for (let attemptNumber = 1; ; attemptNumber++) {
        try {
          await this.#putObject(this.#clients.singleAttempt, key, body, { IfNoneMatch: '*' });
          return 'created';
        } catch (error) {
          if (statusOf(error) === 412) return 'exists';
          if (statusOf(error) !== 409 || attemptNumber === conflictAttemptsMax) throw error;
          await this.#clock.sleep(planBackoffMs(attemptNumber, conflictBackoff, Math.random()));
        }
      }
    });
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    if (range) assertRange(range);
    // HTTP's ranges include their last byte.
    const part = range && { Range: `bytes=${range.start}-${range.end - 1}` };
    return await this.#attempt(`read ${key} from`, async () => {
      try {
        return await this.#getObject({ ...this.#target(key), ...part }, collect);
      } catch (error) {
        // The range lies past the end of the object.
        if (range && statusOf(error) === 416) return new Uint8Array();
        throw error;
      }
    });
  }

  async download(key: string, path: string): Promise<number> {
    const target = this.#target(key);
    let byteCount = 0;
    await this.#attempt(`download ${key} from`, () =>
      replaceFile(path, async (partPath) => {
        byteCount = await this.#getObject(target, (answer) => saveTo(partPath, answer));
      }),
    );
    return byteCount;
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const command = new HeadObjectCommand(this.#target(key));
    return await this.#attempt(`look at ${key} in`, async () => {
      try {
        const answer = await withDeadline(this.#clock, readDeadlineMs, ({ signal }) =>
          this.#clients.repeating.send(command, { abortSignal: signal }),
        );
        return toInfo(key, answer.ContentLength, answer.LastModified);
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    });
  }

  async *list(prefix: string, { startAfter }: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    let continuationToken: string | undefined;
    do {
      const page = await this.#listPage(prefix, startAfter, continuationToken);
      for (const { Key = '', Size, LastModified } of page.Contents ?? []) {
        const key = Key.slice(this.#prefix.length);
        if (isStoreKey(key)) yield toInfo(key, Size, LastModified);
      }
      continuationToken = page.NextContinuationToken;
    } while (continuationToken !== undefined);
  }

  async delete(keys: readonly string[]): Promise<void> {
    const fullKeys = keys.map((key) => this.#target(key).Key);
    await this.#attempt(`delete ${keys.length} objects from`, () => this.#deletion.delete(fullKeys));
  }

  localPath(): undefined {
    return undefined;
  }

  close(): void {
    this.#clients.singleAttempt.destroy();
    this.#clients.repeating.destroy();
  }

  async #putObject(client: S3Client, key: string, body: ObjectBody, condition: Condition): Promise<void> {
    const target = this.#target(key);
    await withS3Body(body, async ({ input, stream }) => {
      const command = new PutObjectCommand({ ...target, ...input, ...condition });
      await withDeadline(this.#clock, planPutDeadlineMs(input.ContentLength), async (aborter) => {
        stream?.once('error', (error) => aborter.abort(error));
        requireStored(await client.send(command, { abortSignal: aborter.signal }));
      });
    });
  }

  /** The deadline is that of the request and of what `use` does with its body. */
  async #getObject<T>(
    target: { Bucket: string; Key: string; Range?: string },
    use: (answer: GetObjectCommandOutput) => Promise<T>,
  ): Promise<T> {
    const command = new GetObjectCommand(target);
    return await withDeadline(this.#clock, readDeadlineMs, async ({ signal }) =>
      use(await this.#clients.repeating.send(command, { abortSignal: signal })),
    );
  }

  async #listPage(
    prefix: string,
    startAfter: string | undefined,
    continuationToken: string | undefined,
  ): Promise<ListObjectsV2CommandOutput> {
    const command = new ListObjectsV2Command({
      Bucket: this.#bucket,
      Prefix: this.#prefix + prefix,
      StartAfter: startAfter === undefined ? undefined : this.#prefix + startAfter,
      ContinuationToken: continuationToken,
    });
    return await this.#attempt(`list "${prefix}" in`, () =>
      withDeadline(this.#clock, readDeadlineMs, ({ signal }) =>
        this.#clients.repeating.send(command, { abortSignal: signal }),
      ),
    );
  }

  #target(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + requireStoreKey(key) };
  }

  async #attempt<T>(doing: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw s3Failure(error, `${doing} ${this.url}`);
    }
  }
}

/** Captive portals answer 200 to everything. An object that they "took" would be deleted at the edge and lost. */
function requireStored({ ETag }: PutObjectCommandOutput): void {
  if (ETag !== undefined) return;
  throw new Failure('store_unavailable', 'the answer to a put has no ETag: it is not from an S3 server');
}

async function collect(answer: GetObjectCommandOutput): Promise<Uint8Array> {
  const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array();
  requireWhole(bytes.length, answer);
  return bytes;
}

async function saveTo(path: string, answer: GetObjectCommandOutput): Promise<number> {
  const file = createWriteStream(path, { flags: 'wx' });
  await pipeline(answer.Body as Readable, file);
  requireWhole(file.bytesWritten, answer);
  return file.bytesWritten;
}

function requireWhole(byteCount: number, { ContentLength }: GetObjectCommandOutput): void {
  if (ContentLength === undefined || ContentLength === byteCount) return;
  throw new Failure('store_unavailable', `${byteCount} of ${ContentLength} bytes arrived`);
}

function toInfo(key: string, bytes = 0, modified = new Date(0)): ObjectInfo {
  return { key, bytes, modifiedMs: modified.getTime() };
}
