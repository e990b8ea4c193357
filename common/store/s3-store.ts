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
 * An object above 64 MiB goes up in parts (`s3-multipart.ts`), and CompleteMultipartUpload makes it. `putIfAbsent` does
 * so only where the store has shown that it honours the condition there, too: servers exist that do on PutObject and
 * overwrite on CompleteMultipartUpload (Ceph 16 does). The showing is the proof of `probe.ts`, its tiny objects put in
 * parts, before the first large `putIfAbsent`. Where it fails, or could not be made, an object is one PutObject whatever
 * its size, streamed from its file, up to S3's 5 GiB.
 *
 * Uploads that a killed process leaves unfinished are not listed, but paid for: the bucket needs a lifecycle rule
 * (AbortIncompleteMultipartUpload) that ends them after some days.
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
  type S3Client,
} from '@aws-sdk/client-s3';
import { planBackoffMs } from '../backoff.js';
import { systemClock, type Clock } from '../clock.js';
import type { StoreConfig } from '../config/store-config.js';
import { Failure, isFailure } from '../errors.js';
import { assertRange } from './byte-range.js';
import { replaceFile } from './durable-file.js';
import { provePutIfAbsent, type ProbeOptions, type ProvableStore } from './probe.js';
import { sizeOfBody, withBodyRanges, withS3Body } from './s3-body.js';
import {
  createS3Clients,
  parseS3Url,
  planPutDeadlineMs,
  readDeadlineMs,
  withDeadline,
  type ObjectTarget,
  type PutCondition,
  type S3Clients,
} from './s3-client.js';
import { S3Deletion } from './s3-delete.js';
import { isKeyContended, isKeyTaken, requireFromS3, s3Failure, statusOf } from './s3-failure.js';
import { defaultPartBytesMin, planParts, putInParts } from './s3-multipart.js';
import { isStoreKey, requireStoreKey } from './store-key.js';
import type { ByteRange, ListOptions, ObjectBody, ObjectInfo, Store } from './store.js';

const conflictAttemptsMax = 8;
const conflictBackoff = { firstMs: 50, maxMs: 2_000 };

const defaultOneRequestBytesMax = 64 * 1024 ** 2;

const ifAbsent: PutCondition = { IfNoneMatch: '*' };

export interface S3StoreOptions {
  readonly clock?: Clock;
  /** How the store may show that it honours conditions on multipart uploads; without it they have none. */
  readonly proof?: ProbeOptions;
  /** Larger objects are put in parts. */
  readonly oneRequestBytesMax?: number;
  /** Parts are larger where 10,000 of them would not do. */
  readonly partBytesMin?: number;
}

export class S3Store implements Store {
  readonly url: string;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #clients: S3Clients;
  readonly #deletion: S3Deletion;
  readonly #oneRequestBytesMax: number;
  readonly #partBytesMin: number;
  readonly #proof: ProbeOptions | undefined;
  #partsShowing: Promise<boolean> | undefined;

  private constructor(config: StoreConfig, options: S3StoreOptions) {
    const { bucket, prefix } = parseS3Url(config.url);
    this.url = `s3://${bucket}/${prefix}`.replace(/\/$/, '');
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#clock = options.clock ?? systemClock;
    this.#oneRequestBytesMax = options.oneRequestBytesMax ?? defaultOneRequestBytesMax;
    this.#partBytesMin = options.partBytesMin ?? defaultPartBytesMin;
    this.#proof = options.proof;
    this.#clients = createS3Clients(config);
    this.#deletion = new S3Deletion(this.#clients.repeating, bucket, this.#clock);
  }

  /** Makes no request: `provePutIfAbsent` makes the first. */
  static open(config: StoreConfig, options: S3StoreOptions = {}): S3Store {
    return new S3Store(config, options);
  }

  async put(key: string, body: ObjectBody): Promise<void> {
    await this.#attempt(`put ${key} into`, async () => {
      if (await this.#isLarge(body)) await this.#putInParts(key, body, {});
      else await this.#putObject(this.#clients.repeating, key, body, {});
    });
  }

  async putIfAbsent(key: string, body: ObjectBody): Promise<'created' | 'exists'> {
    return await this.#attempt(`create ${key} in`, async () => {
      if ((await this.#isLarge(body)) && (await this.#createsInParts()))
        return await this.#create(() => this.#putInParts(key, body, ifAbsent));
      return await this.#create(() => this.#putObject(this.#clients.singleAttempt, key, body, ifAbsent));
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

  async #create(put: () => Promise<void>): Promise<'created' | 'exists'> {
    for (let attemptNumber = 1; ; attemptNumber++) {
      try {
        await put();
        return 'created';
      } catch (error) {
        if (isKeyTaken(error)) return 'exists';
        if (!isKeyContended(error) || attemptNumber === conflictAttemptsMax) throw error;
        await this.#clock.sleep(planBackoffMs(attemptNumber, conflictBackoff, Math.random()));
      }
    }
  }

  async #isLarge(body: ObjectBody): Promise<boolean> {
    return (await sizeOfBody(body)) > this.#oneRequestBytesMax;
  }

  /** Whether the store has shown that conditions hold for multipart uploads. It is asked once, by whoever comes first. */
  async #createsInParts(): Promise<boolean> {
    return await (this.#partsShowing ??= this.#showPartsHold());
  }

  async #showPartsHold(): Promise<boolean> {
    if (this.#proof === undefined) return false;
    try {
      await provePutIfAbsent(this.#asStoreInParts(), this.#proof);
      return true;
    } catch (error) {
      if (!isFailure(error)) throw error;
      // Nothing was shown: the next large object asks again.
      if (error.kind === 'transient') this.#partsShowing = undefined;
      return false;
    }
  }

  #asStoreInParts(): ProvableStore {
    return {
      url: this.url,
      putIfAbsent: (key, body) =>
        this.#attempt(`create ${key} in parts in`, () =>
          this.#create(() => this.#putInParts(key, body, ifAbsent)),
        ),
      get: (key) => this.get(key),
      delete: (keys) => this.delete(keys),
    };
  }

  async #putInParts(key: string, body: ObjectBody, condition: PutCondition): Promise<void> {
    const access = { clients: this.#clients, clock: this.#clock };
    const parts = planParts(await sizeOfBody(body), this.#partBytesMin);
    await withBodyRanges(body, (read) => putInParts(access, this.#target(key), parts, read, condition));
  }

  async #putObject(client: S3Client, key: string, body: ObjectBody, condition: PutCondition): Promise<void> {
    const target = this.#target(key);
    await withS3Body(body, async ({ input, stream }) => {
      const command = new PutObjectCommand({ ...target, ...input, ...condition });
      await withDeadline(this.#clock, planPutDeadlineMs(input.ContentLength), async (aborter) => {
        stream?.once('error', (error) => aborter.abort(error));
        const { ETag } = await client.send(command, { abortSignal: aborter.signal });
        requireFromS3('ETag', ETag);
      });
    });
  }

  /** The deadline is that of the request and of what `use` does with its body. */
  async #getObject<T>(
    target: ObjectTarget & { readonly Range?: string },
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

  #target(key: string): ObjectTarget {
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
