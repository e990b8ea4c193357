/**
 * Durations, sizes and addresses as people write them in configuration files, as zod types that yield one unit.
 */
import { z } from 'zod';
import { parseListenAddress } from './listen-address.js';

const durationUnitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 365 * 86_400_000,
};

/** `10s` → 10000; `1h30m` is not offered: one number, one unit. Undefined where the text is no duration. */
export function parseDurationMs(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w|y)$/.exec(text.trim()) ?? [];
  const unitMs = durationUnitsMs[unit ?? ''];
  return number === undefined || unitMs === undefined ? undefined : Number(number) * unitMs;
}

const sizeUnitsBytes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** `20GB` → 20e9, `64MiB` → 67108864. Undefined where the text is no size. */
export function parseSizeBytes(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)$/.exec(text.trim()) ?? [];
  const unitBytes = sizeUnitsBytes[unit ?? ''];
  return number === undefined || unitBytes === undefined ? undefined : Math.floor(Number(number) * unitBytes);
}

/** `64KB/s` → 64000. Undefined where the text is no rate. */
export function parseBytesPerSecond(text: string): number | undefined {
  const [, size] = /^(.+?)\s*\/\s*s$/.exec(text.trim()) ?? [];
  return size === undefined ? undefined : parseSizeBytes(size);
}

function fromText<T>(parse: (text: string) => T | undefined, expected: string) {
  return z.string({ error: `write ${expected}` }).transform((text, context): T => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `"${text}" is not understood: write ${expected}` });
    return z.NEVER;
  });
}

/** Yields milliseconds, within [minMs, maxMs]. */
export function durationMs({ minMs = 0, maxMs = Number.MAX_SAFE_INTEGER } = {}) {
  return fromText(parseDurationMs, 'a duration such as 500ms, 10s, 5m, 2h or 7d').refine(
    (ms) => ms >= minMs && ms <= maxMs,
    { error: `is out of range: write a duration from ${minMs} ms to ${maxMs} ms` },
  );
}

/** Yields bytes. */
export function sizeBytes({ minBytes = 1 } = {}) {
  return fromText(parseSizeBytes, 'a size such as 64MB, 20GB or 512MiB').refine(
    (bytes) => bytes >= minBytes,
    {
      error: `is too small: write at least ${minBytes}B`,
    },
  );
}

/** Yields bytes per second. */
export function bytesPerSecond({ minBytes = 1 } = {}) {
  return fromText(parseBytesPerSecond, 'a rate such as 64KB/s or 2MB/s').refine(
    (bytes) => bytes >= minBytes,
    {
      error: `is too small: write at least ${minBytes}B/s`,
    },
  );
}

export function listenAddress() {
  return fromText(parseListenAddress, 'an address such as 127.0.0.1:8182');
}
