/**
 * What to do about how full the buffer is. Pure.
 *
 * Three bounds – the size of log and outbox, the free space of the disk, the age of the oldest message in no shipment –
 * and a disk that refused to take something. With `stop_reading` sources stop until there is clearly room again; with
 * `drop_oldest` messages are dropped, and sources stop only when nothing is left to drop or the disk refuses.
 *
 * A bound that was reached holds until the buffer is `resumeShare` below it (`dropShare` when dropping), so that the
 * agent does not swing around it.
 */
import type { BufferLimits } from './buffer-config.js';

export interface BufferUsage {
  /** Of log and outbox. */
  readonly bytes: number;
  /** Of them, what nothing needs any more (`raw: keep`). */
  readonly keptBytes: number;
  /** Of the file system, for this user. */
  readonly freeBytes: number;
  /** Free inside the database file: room that takes nothing from the disk. */
  readonly reusableBytes: number;
  readonly oldestWaitingMs: number | undefined;
  /** Undefined while the clock is not trusted: ages by it mean nothing. */
  readonly nowMs: number | undefined;
  /** It refused a write a moment ago. */
  readonly isDiskFull: boolean;
}

export type BufferState = 'collecting' | 'dropping' | 'stopped';

export interface Relief {
  readonly state: BufferState;
  /** For people; undefined while collecting. */
  readonly reason: string | undefined;
  /** With `dropping`: everything that arrived before; undefined: the lowest, step by step. */
  readonly dropBeforeMs?: number;
}

const resumeShare = 0.1;
const dropShare = 0.05;
/** At once, of what is kept: each step is a write. */
const releasedShare = 0.02;
/**
 * What must be free besides `keep_free` before reading resumes: sources would otherwise take every byte that shipping has just
 * made free, and leave it none to write its next shipment.
 */
export const resumeFreeBytes = 8_000_000;
/** A clock that said less was not set when the message came (no battery): its age is not known. */
const earliestClockMs = Date.UTC(2020, 0, 1);

export function planRelief(usage: BufferUsage, limits: BufferLimits, before: BufferState): Relief {
  const share = before === 'stopped' ? resumeShare : before === 'dropping' ? dropShare : 0;
  if (usage.isDiskFull) return { state: 'stopped', reason: 'the disk refused a write: it is full' };
  const state = limits.onFull === 'drop_oldest' ? 'dropping' : 'stopped';
  const { nowMs } = usage;
  const age = nowMs === undefined ? undefined : ageReason(usage, nowMs, limits, share);
  if (nowMs !== undefined && age !== undefined)
    return {
      ...{ state, reason: age },
      ...(state === 'dropping' && { dropBeforeMs: nowMs - (limits.ageMaxMs ?? 0) * (1 - dropShare) }),
    };
  const reason = sizeReason(usage, limits, share) ?? freeReason(usage, limits, share);
  return reason === undefined ? { state: 'collecting', reason } : { state, reason };
}

function sizeReason({ bytes }: BufferUsage, { bytesMax }: BufferLimits, share: number): string | undefined {
  if (bytes < bytesMax * (1 - share)) return undefined;
  return `the buffer holds ${megabytes(bytes)} of buffer.max_size ${megabytes(bytesMax)}`;
}

function freeReason(usage: BufferUsage, { keepFreeBytes }: BufferLimits, share: number): string | undefined {
  const freeBytes = usage.freeBytes + usage.reusableBytes;
  const wantedBytes = share === resumeShare ? freeBytesToResume(keepFreeBytes) : keepFreeBytes * (1 + share);
  if (freeBytes >= wantedBytes) return undefined;
  return `the disk has ${megabytes(freeBytes)} free of buffer.keep_free ${megabytes(keepFreeBytes)}`;
}

/** What must be free before reading that stopped resumes. */
export function freeBytesToResume(keepFreeBytes: number): number {
  return keepFreeBytes * (1 + resumeShare) + resumeFreeBytes;
}

function ageReason(
  { oldestWaitingMs }: BufferUsage,
  nowMs: number,
  { ageMaxMs }: BufferLimits,
  share: number,
): string | undefined {
  if (ageMaxMs === undefined || oldestWaitingMs === undefined || oldestWaitingMs < earliestClockMs)
    return undefined;
  const ageMs = nowMs - oldestWaitingMs;
  if (ageMs < ageMaxMs * (1 - share)) return undefined;
  return `a message waits for ${seconds(ageMs)} of buffer.max_age ${seconds(ageMaxMs)}`;
}

/**
 * What is kept though nothing needs it goes first, long before anything else has to: it may fill the buffer up to where
 * reading that stopped would resume. So many bytes of it are to go.
 */
export function planRelease(usage: BufferUsage, limits: BufferLimits): number {
  const { bytes, keptBytes, freeBytes, reusableBytes } = usage;
  const { bytesMax, keepFreeBytes } = limits;
  const bySize =
    bytes < bytesMax * (1 - resumeShare) ? 0 : bytes - bytesMax * (1 - resumeShare - releasedShare);
  const byDisk = freeBytesToResume(keepFreeBytes) - freeBytes - reusableBytes;
  return Math.min(keptBytes, Math.max(0, bySize, byDisk));
}

/** Bytes that may still come before a bound is reached. */
export function roomBytes(usage: BufferUsage, limits: BufferLimits): number {
  const bySize = limits.bytesMax - usage.bytes + usage.keptBytes;
  const byDisk = usage.freeBytes + usage.reusableBytes + usage.keptBytes - limits.keepFreeBytes;
  return Math.max(0, Math.min(bySize, byDisk));
}

/** For people. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
