/**
 * The bounds of the buffer on the disk that it lies on: `buffer.keep_free` is a share of a small disk, and what no disk of
 * this size can ever give is refused, because sources would stand still for ever.
 */
import { Failure } from '@varve/common/errors.js';
import { keepFreeBytesMin, type BufferConfig, type BufferLimits } from './buffer-config.js';
import { diskRoom } from './disk-room.js';
import { freeBytesToResume, megabytes } from './plan-relief.js';

const keepFreeBytesDefault = 200_000_000;
const keepFreeShareDefault = 0.1;

/** @throws Failure `config_invalid` where the disk is too small */
export async function fitToDisk(config: BufferConfig, dataDir: string): Promise<BufferLimits> {
  const { totalBytes } = await diskRoom(dataDir);
  const keepFreeBytes = config.keepFreeBytes ?? planKeepFreeBytes(totalBytes);
  const neededBytes = freeBytesToResume(keepFreeBytes);
  if (neededBytes < totalBytes) return { ...config, keepFreeBytes };
  const disk = `the disk of data_dir ${dataDir} has ${megabytes(totalBytes)} in all`;
  const message =
    config.keepFreeBytes === undefined
      ? `${disk}, and the agent needs more than ${megabytes(neededBytes)}`
      : `${disk}: with buffer.keep_free ${megabytes(keepFreeBytes)} nothing could ever be read`;
  throw new Failure('config_invalid', message, {
    hint: 'give data_dir a larger disk, or write a smaller buffer.keep_free, or none: then it fits the disk',
  });
}

/** A tenth of the disk, but enough for shipping, and never more than other programs will want. */
export function planKeepFreeBytes(totalBytes: number): number {
  return Math.min(keepFreeBytesDefault, Math.max(keepFreeBytesMin, totalBytes * keepFreeShareDefault));
}
