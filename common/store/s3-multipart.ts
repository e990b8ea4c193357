/**
 * A large object in S3: uploaded in parts, several at once, which become the object together.
 *
 * 1. Plan the parts: as small as S3's 10,000 allow, since some of them are held in memory.
 * 2. Begin the upload. Nothing of it is visible to `get`, `head` and `list`.
 * 3. Send the parts, four at once. A part is the same each time, so the SDK may repeat it.
 * 4. Complete: the commit point, with the condition if there is one, sent once. 412 and 409 are as with PutObject.
 *
 * The upload is aborted when a part fails and when completing is refused. It is left alone where completing got no clear
 * answer: it may have become the object or be doing so, and there are servers (Ceph) where aborting at that moment has
 * cost objects their content. What is left, by that or by a killed process, is for the bucket's lifecycle rule.
 *
 * Limits: `concurrentParts` parts in memory per upload, 32 MiB below 78 GiB and 256 MiB at the 625 GiB where it ends.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3';
import type { Clock } from '../clock.js';
import { Failure } from '../errors.js';
import type { ReadRange } from './s3-body.js';
import {
  planPutDeadlineMs,
  withDeadline,
  type ObjectTarget,
  type PutCondition,
  type S3Clients,
} from './s3-client.js';
import { isAnswerRefusal, requireFromS3, s3Failure } from './s3-failure.js';
import type { ByteRange } from './store.js';

/** S3 takes parts from 5 MiB, save the last. */
export const defaultPartBytesMin = 8 * 1024 ** 2;
const partBytesMax = 64 * 1024 ** 2;
/** S3's own limit. */
const partsMax = 10_000;
const concurrentParts = 4;

/** The ranges of the parts, in order. @throws Failure `body_too_large` */
export function planParts(bytes: number, partBytesMin: number): ByteRange[] {
  const partBytes = Math.max(partBytesMin, Math.ceil(bytes / partsMax));
  if (partBytes > partBytesMax)
    throw new Failure('body_too_large', `${bytes} bytes are too many: ${partsMax * partBytesMax} can be put`);
  // An object without content has one part too.
  const count = Math.max(1, Math.ceil(bytes / partBytes));
  return Array.from({ length: count }, (_, index) => ({
    start: index * partBytes,
    end: Math.min(bytes, (index + 1) * partBytes),
  }));
}

export interface PartsAccess {
  readonly clients: S3Clients;
  readonly clock: Clock;
}

interface Upload extends PartsAccess {
  /** Members of the input of every request about it. */
  readonly target: ObjectTarget & { readonly UploadId: string };
}

/** @throws Failure, or what the SDK throws at completing: 412 and 409 then mean that nothing was put */
export async function putInParts(
  access: PartsAccess,
  target: ObjectTarget,
  parts: readonly ByteRange[],
  read: ReadRange,
  condition: PutCondition,
): Promise<void> {
  const { upload, sent } = await prepare(access, target, parts, read);
  await complete(upload, sent, parts.at(-1)?.end ?? 0, condition);
}

/** Only the answer to completing can say that the key is taken: whatever fails before is a Failure already. */
async function prepare(
  access: PartsAccess,
  target: ObjectTarget,
  parts: readonly ByteRange[],
  read: ReadRange,
): Promise<{ upload: Upload; sent: CompletedPart[] }> {
  try {
    const upload = await begin(access, target);
    return { upload, sent: await sendParts(upload, parts, read) };
  } catch (error) {
    throw s3Failure(error, `send the parts of ${target.Key} to bucket ${target.Bucket}`);
  }
}

async function begin({ clients, clock }: PartsAccess, target: ObjectTarget): Promise<Upload> {
  const command = new CreateMultipartUploadCommand(target);
  const { UploadId } = await withDeadline(clock, planPutDeadlineMs(0), ({ signal }) =>
    clients.repeating.send(command, { abortSignal: signal }),
  );
  return { clients, clock, target: { ...target, UploadId: requireFromS3('UploadId', UploadId) } };
}

/**
 * After a part that fails no other is begun. Those under way end before the upload is aborted: the server would keep,
 * unseen, a part that came after.
 */
async function sendParts(
  upload: Upload,
  parts: readonly ByteRange[],
  read: ReadRange,
): Promise<CompletedPart[]> {
  const sent: CompletedPart[] = [];
  const failures: unknown[] = [];
  const waiting = parts.entries();
  const sendWaiting = async () => {
    for (const [index, part] of waiting) {
      if (failures.length > 0) return;
      sent[index] = await sendPart(upload, index + 1, await read(part));
    }
  };
  const senders = Array.from({ length: concurrentParts }, () =>
    sendWaiting().catch((error: unknown) => failures.push(error)),
  );
  await Promise.all(senders);
  if (failures.length === 0) return sent;
  await abort(upload);
  throw failures[0];
}

async function sendPart(
  { clients, clock, target }: Upload,
  partNumber: number,
  bytes: Uint8Array,
): Promise<CompletedPart> {
  const command = new UploadPartCommand({ ...target, PartNumber: partNumber, Body: bytes });
  // The parts that are under way share the uplink.
  const deadlineMs = planPutDeadlineMs(bytes.length * concurrentParts);
  const { ETag } = await withDeadline(clock, deadlineMs, ({ signal }) =>
    clients.repeating.send(command, { abortSignal: signal }),
  );
  return { PartNumber: partNumber, ETag: requireFromS3('ETag', ETag) };
}

async function complete(
  upload: Upload,
  sent: CompletedPart[],
  bytes: number,
  condition: PutCondition,
): Promise<void> {
  const { clients, clock, target } = upload;
  const command = new CompleteMultipartUploadCommand({
    ...target,
    ...condition,
    MultipartUpload: { Parts: sent },
  });
  try {
    await withDeadline(clock, planPutDeadlineMs(bytes), async ({ signal }) => {
      const { ETag } = await clients.singleAttempt.send(command, { abortSignal: signal });
      // Ceph's is empty here.
      requireFromS3('ETag', ETag);
    });
  } catch (error) {
    if (isAnswerRefusal(error)) await abort(upload);
    throw error;
  }
}

/** Why the upload failed says more than why it could not be tidied up. */
async function abort({ clients, clock, target }: Upload): Promise<void> {
  const command = new AbortMultipartUploadCommand(target);
  await withDeadline(clock, planPutDeadlineMs(0), ({ signal }) =>
    clients.repeating.send(command, { abortSignal: signal }),
  ).catch(() => undefined);
}
