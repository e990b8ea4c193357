/**
 * Instants as people type them: RFC 3339, a date, a number since 1970, or relative to now (`-6h`, `now-6h`, `now`). Pure.
 */
import { parseDurationMs } from '@varve/common/config/units.js';

export const timeExpected =
  'must be RFC 3339 with a zone, a date, a number since 1970, or relative such as -6h';

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+ -]\d\d:\d\d)$/;
/** The years 0001 to 9999, which DuckDB and RFC 3339 both have. */
const msRange = { min: -62_135_596_800_000, max: 253_402_300_799_999 };

/** Milliseconds since 1970, fractions included; undefined where the text is no instant. */
export function readTimeMs(text: string, nowMs: number): number | undefined {
  const ms = parse(text.trim(), nowMs);
  return ms !== undefined && ms >= msRange.min && ms <= msRange.max ? ms : undefined;
}

function parse(text: string, nowMs: number): number | undefined {
  const [, ago] = /^(?:now)?-(.+)$/.exec(text) ?? [];
  if (text === 'now') return nowMs;
  if (/^-?\d+(\.\d+)?$/.test(text)) return sinceEpochMs(Number(text));
  if (ago !== undefined) {
    const agoMs = parseDurationMs(ago);
    return agoMs === undefined ? undefined : nowMs - agoMs;
  }
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return knownMs(Date.parse(text));
  // A plus sign in a query string is a space.
  return rfc3339.test(text)
    ? knownMs(Date.parse(text.replace(/ (?=\d\d:\d\d$)/, '+').replace(' ', 'T')))
    : undefined;
}

function knownMs(ms: number): number | undefined {
  return Number.isNaN(ms) ? undefined : ms;
}

/** Seconds, milliseconds, microseconds or nanoseconds, whichever lies in this age. */
function sinceEpochMs(number: number): number {
  const size = Math.abs(number);
  if (size < 1e11) return number * 1_000;
  if (size < 1e14) return number;
  return size < 1e17 ? number / 1_000 : number / 1e6;
}
