/**
 * What S3 and the way to it say, as a `Failure`: a table from the answer's code or HTTP status to ours, with what the
 * operator can do. Knows the shape of the AWS SDK's errors, not the SDK.
 *
 * The SDK's errors for answers of the server are not passed on as `cause`: they carry access keys and signatures.
 */
import { Failure, isFailure, messageOf, systemCodeOf, type FailureCode } from '../errors.js';
import { fileFailure } from './file-failure.js';

interface Meaning {
  readonly code: FailureCode;
  readonly hint: string;
}

const credentialsWrong: Meaning = {
  code: 'store_denied',
  hint: 'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the AWS profile this program uses',
};
const credentialsMissing: Meaning = {
  code: 'store_denied',
  hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role',
};
const credentialsExpired: Meaning = {
  code: 'store_denied',
  hint: 'the session token has expired or is wrong: get new temporary credentials',
};
const denied: Meaning = {
  code: 'store_denied',
  hint: 'an agent needs s3:PutObject on its own two prefixes; varve-tsdb also s3:GetObject, s3:DeleteObject and s3:ListBucket',
};
const bucketMissing: Meaning = {
  code: 'store_not_found',
  hint: 'create the bucket, or mend its name, the endpoint or path_style in the configuration',
};
const otherRegion: Meaning = { code: 'store_not_found', hint: "set the store's region to the bucket's" };
const objectMissing: Meaning = {
  code: 'object_missing',
  hint: 'was it deleted by hand or by a lifecycle rule?',
};
/** Between us and the server something repeated the request, or a lifecycle rule was hasty: the outcome is unknown. */
const uploadMissing: Meaning = {
  code: 'store_unavailable',
  hint: 'does a lifecycle rule abort unfinished uploads within hours? Give them days',
};
const quotaReached: Meaning = {
  code: 'disk_full',
  hint: "free space in the store, or raise the user's quota",
};
const notImplemented: Meaning = {
  code: 'store_without_put_if_absent',
  hint: 'the store must honour If-None-Match: * on PutObject, as AWS S3, Cloudflare R2, Ceph and MinIO do',
};
const keyTooLong: Meaning = { code: 'key_invalid', hint: 'shorten the prefix in the URL of the store' };

const meaningsByName: Readonly<Record<string, Meaning>> = {
  NoSuchBucket: bucketMissing,
  InvalidBucketName: bucketMissing,
  PermanentRedirect: otherRegion,
  AuthorizationHeaderMalformed: otherRegion,
  IllegalLocationConstraintException: otherRegion,
  AccessDenied: denied,
  AllAccessDisabled: denied,
  InvalidAccessKeyId: credentialsWrong,
  SignatureDoesNotMatch: credentialsWrong,
  CredentialsProviderError: credentialsMissing,
  ExpiredToken: credentialsExpired,
  InvalidToken: credentialsExpired,
  NoSuchKey: objectMissing,
  NoSuchUpload: uploadMissing,
  QuotaExceeded: quotaReached,
  XMinioStorageFull: quotaReached,
  NotImplemented: notImplemented,
  KeyTooLongError: keyTooLong,
  // Heals by itself: the SDK takes the server's time for the next request.
  RequestTimeTooSkewed: { code: 'store_unavailable', hint: "set this machine's clock" },
};

/** For answers whose body does not say more: to HEAD requests, and those of proxies. */
const meaningsByStatus: Readonly<Record<number, Meaning>> = {
  301: otherRegion,
  401: denied,
  403: denied,
  404: bucketMissing,
  501: notImplemented,
  507: quotaReached,
};

const unavailable: Meaning = {
  code: 'store_unavailable',
  hint: 'is the store up, and can this machine reach its endpoint?',
};

/** What an answer means. `name` is the `Code` of the answer, or the name of an error on the way to it. */
export function judgeS3Answer(name: string, status: number | undefined): Meaning {
  return meaningsByName[name] ?? meaningsByStatus[status ?? 0] ?? unavailable;
}

/** The HTTP status of the answer that an error of the SDK stands for; undefined where none came. */
export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}

/** Another object has the key: nothing was put. */
export function isKeyTaken(error: unknown): boolean {
  return statusOf(error) === 412 || nameOf(error) === 'PreconditionFailed';
}

/** Another request for the key is under way: nothing was put. */
export function isKeyContended(error: unknown): boolean {
  return statusOf(error) === 409 || nameOf(error) === 'ConditionalRequestConflict';
}

/** The server said no: the request has no effect, neither now nor later. */
export function isAnswerRefusal(error: unknown): boolean {
  const status = statusOf(error) ?? 0;
  const isClear = status >= 400 && status < 500 && ![404, 408, 429].includes(status);
  return isClear || isKeyTaken(error) || isKeyContended(error);
}

/** Captive portals answer 200 to everything. An object that they "took" would be deleted at the edge and lost. */
export function requireFromS3(member: string, value: string | undefined): string {
  if (value !== undefined) return value;
  throw new Failure('store_unavailable', `the answer to a put has no ${member}: it is not from an S3 server`);
}

/** `doing` completes the sentence "could not …". Failures pass unchanged. */
export function s3Failure(error: unknown, doing: string): Failure {
  if (isFailure(error)) return error;
  if (isOfLocalFile(error)) return fileFailure(error, doing);
  const status = statusOf(error);
  const name = nameOf(error);
  const { code, hint } = judgeS3Answer(name, status);
  return new Failure(code, `could not ${doing}: ${describe(error)}`, {
    hint,
    retryAfterMs: retryAfterOf(error),
    ...(status === undefined ? { cause: error } : { facts: { answer: name, http_status: status } }),
  });
}

/** What the answer's `Retry-After` says, in ms: seconds, or a date, which is held against the answer's own `Date`. */
function retryAfterOf(error: unknown): number | undefined {
  const { headers = {} } = (error as { $response?: { headers?: Record<string, string> } }).$response ?? {};
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.parse(headers['date'] ?? '');
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** The `Code` of the answer. Where completing a multipart upload takes long it comes in a body behind status 200. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error';
}

function isOfLocalFile(error: unknown): boolean {
  return (
    ['ENOSPC', 'EDQUOT'].includes(systemCodeOf(error) ?? '') || (error instanceof Error && 'path' in error)
  );
}

/** `AccessDenied: Access Denied. (HTTP 403)`, without what the answer did not say. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error);
  const status = statusOf(error);
  // The error of several tried addresses has no text: its code says what happened.
  if (status === undefined) return error.message === '' ? (systemCodeOf(error) ?? error.name) : error.message;
  const told = [error.name, error.message].filter((text) => text !== '' && !text.startsWith('Unknown'));
  return `${told.join(': ')} (HTTP ${status})`.trimStart();
}
