/**
 * The AWS SDK's client as this product uses it: which bounds it has and where it points.
 *
 * Checksums are sent "when required" only: the SDK's default trailers are refused or stored as content by other servers.
 *
 * Files of credentials are read anew for every client: opening the store again takes up what an operator has renewed.
 *
 * Bounds: sockets per client (an upload over 2 MiB, which waits for `100 Continue` before it sends, has its own), the
 * time to connect, the time a connection may be silent, and every request as a whole.
 */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { Clock } from '../clock.js';
import type { StoreConfig } from '../config/store-config.js';
import { Failure } from '../errors.js';
import { isStoreKey } from './store-key.js';

const socketsMax = 32;
const connectTimeoutMs = 10_000;
const silenceTimeoutMs = 60_000;
/** What even the slowest uplink manages: the deadline of a request grows with the bytes it moves. */
const slowestBytesPerMs = 8;
/** Of answers whose size is not known beforehand. */
export const readDeadlineMs = 3_600_000;

const attemptsMax = 3;
const defaultRegion = 'us-east-1';

/** What goes wrong is thrown; by default the SDK also remarks on it on the console. */
const ignore = (): void => undefined;
const silent = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };

export interface S3Clients {
  /** Repeats what may be repeated: throttled requests, lost connections, 5xx; never a streamed body. */
  readonly repeating: S3Client;
  /** For requests whose repetition would change the answer. Shares the other's sockets and credentials. */
  readonly singleAttempt: S3Client;
}

export function createS3Clients(config: StoreConfig): S3Clients {
  const clientConfig = toClientConfig(config);
  const repeating = new S3Client({ ...clientConfig, maxAttempts: attemptsMax });
  const { credentials, requestHandler } = repeating.config;
  const singleAttempt = new S3Client({ ...clientConfig, credentials, requestHandler, maxAttempts: 1 });
  return { repeating, singleAttempt };
}

function toClientConfig({ endpoint, region = defaultRegion, pathStyle }: StoreConfig): S3ClientConfig {
  // Goes through to the credential providers, which otherwise remember a file for as long as the process lives.
  const credentialFiles = { ignoreCache: true };
  const agent = { keepAlive: true, maxSockets: socketsMax };
  return {
    region,
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: pathStyle,
    logger: silent,
    ...credentialFiles,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      socketTimeout: silenceTimeoutMs,
      httpAgent: agent,
      httpsAgent: agent,
    },
  };
}

/** Members of the input of every request about one object. */
export interface ObjectTarget {
  readonly Bucket: string;
  readonly Key: string;
}

/** Members of the input of the request that makes the object. */
export type PutCondition = { readonly IfNoneMatch: '*' } | Record<string, never>;

export interface S3Place {
  readonly bucket: string;
  /** Empty, or with a trailing slash. */
  readonly prefix: string;
}

export function parseS3Url(url: string): S3Place {
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]+)(.*)$/.exec(url) ?? [];
  const folder = path.replace(/^\/+|\/+$/g, '');
  if (bucket !== '' && (folder === '' || isStoreKey(folder)))
    return { bucket, prefix: folder === '' ? '' : `${folder}/` };
  throw new Failure('store_url_invalid', `"${url}" is not understood`, { hint: 'write s3://bucket/prefix' });
}

export function planPutDeadlineMs(bytes: number): number {
  return silenceTimeoutMs + Math.ceil(bytes / slowestBytesPerMs);
}

/** Aborts `work` when it takes longer than `limitMs`; `work` may abort itself with a reason. */
export async function withDeadline<T>(
  clock: Clock,
  limitMs: number,
  work: (aborter: AbortController) => Promise<T>,
): Promise<T> {
  const aborter = new AbortController();
  const ended = new AbortController();
  const limit = clock.sleep(limitMs, ended.signal).then(() => {
    if (!ended.signal.aborted) aborter.abort(new Error(`no answer within ${limitMs / 1_000} seconds`));
  });
  try {
    return await work(aborter);
  } catch (error) {
    // The SDK's own word for it does not say why.
    throw aborter.signal.aborted ? aborter.signal.reason : error;
  } finally {
    ended.abort();
    await limit;
  }
}
