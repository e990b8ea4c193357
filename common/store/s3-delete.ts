/**
 * Deletes objects from S3, a thousand per request where the server can, else one by one.
 */
import { DeleteObjectCommand, DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '../clock.js';
import { readDeadlineMs, withDeadline } from './s3-client.js';
import { statusOf } from './s3-failure.js';

/** S3's own limit for DeleteObjects. */
const keysPerRequest = 1_000;
const concurrentRequests = 8;

export class S3Deletion {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #clock: Clock;
  /** Some servers insist on Content-MD5, which the SDK no longer sends, or know no DeleteObjects at all. */
  #serverDeletesMany = true;

  constructor(client: S3Client, bucket: string, clock: Clock) {
    this.#client = client;
    this.#bucket = bucket;
    this.#clock = clock;
  }

  /** @throws an error of the SDK, or one that is named by the code that the server gave for a key */
  async delete(keys: readonly string[]): Promise<void> {
    for (const batch of inGroups(keys, keysPerRequest)) {
      const isDone = this.#serverDeletesMany && batch.length > 1 && (await this.#tryDeleteMany(batch));
      if (!isDone) await this.#deleteSingly(batch);
    }
  }

  /** False where the server refuses the request as such. */
  async #tryDeleteMany(keys: readonly string[]): Promise<boolean> {
    try {
      await this.#deleteMany(keys);
      return true;
    } catch (error) {
      if (![400, 411, 501].includes(statusOf(error) ?? 0)) throw error;
      this.#serverDeletesMany = false;
      return false;
    }
  }

  async #deleteMany(keys: readonly string[]): Promise<void> {
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
    const command = new DeleteObjectsCommand({ Bucket: this.#bucket, Delete });
    const { Errors = [] } = await withDeadline(this.#clock, readDeadlineMs, ({ signal }) =>
      this.#client.send(command, { abortSignal: signal }),
    );
    const refused = Errors.find(({ Code }) => Code !== 'NoSuchKey');
    if (refused)
      throw Object.assign(new Error(`${refused.Key}: ${refused.Message}`), { name: refused.Code ?? 'Error' });
  }

  async #deleteSingly(keys: readonly string[]): Promise<void> {
    for (const group of inGroups(keys, concurrentRequests))
      await Promise.all(group.map((key) => this.#deleteOne(key)));
  }

  async #deleteOne(key: string): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key: key });
    await withDeadline(this.#clock, readDeadlineMs, ({ signal }) =>
      this.#client.send(command, { abortSignal: signal }),
    );
  }
}

function* inGroups<T>(items: readonly T[], groupSize: number): Generator<readonly T[]> {
  for (let first = 0; first < items.length; first += groupSize) yield items.slice(first, first + groupSize);
}
