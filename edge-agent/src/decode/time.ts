/**
 * Times in payloads: numbers in a declared unit, or RFC 3339 text, to microseconds since 1970 UTC.
 *
 * Microseconds in a double are exact to ±2^53, the year 2255: later or earlier times are refused, not rounded.
 */

export const timeUnits = ['s', 'ms', 'us', 'ns', 'rfc3339'] as const;
export type TimeUnit = (typeof timeUnits)[number];

const unitUs: Readonly<Record<Exclude<TimeUnit, 'rfc3339' | 'ns'>, number>> = { s: 1e6, ms: 1e3, us: 1 };

/**
 * Microseconds, or undefined where `value` is no time in that unit. Nanoseconds are cut off, towards the past; fractions of
 * seconds and milliseconds are rounded, since 1.001 s is 1000999.9999999999 us in binary.
 */
export function parseTimeUs(value: unknown, unit: TimeUnit): number | undefined {
  if (unit === 'rfc3339') return typeof value === 'string' ? parseRfc3339Us(value) : undefined;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) return undefined;
  return inRange(unit === 'ns' ? Math.floor(number / 1_000) : Math.round(number * unitUs[unit]));
}

/** RFC 3339 §5.6 with any number of fraction digits; `t`, `z` and a blank for `T` are taken too. */
function parseRfc3339Us(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$/.exec(text.trim());
  if (!match) return undefined;
  const [, date = '', time = '', fraction = '', zone = ''] = match;
  const wholeMs = Date.parse(`${date}T${time}${zone.toUpperCase()}`);
  // Date.parse rolls 30 February over into March.
  if (Number.isNaN(wholeMs) || !isCalendarDate(date)) return undefined;
  return inRange(wholeMs * 1_000 + Number(fraction.slice(0, 6).padEnd(6, '0')));
}

function isCalendarDate(date: string): boolean {
  const parsed = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
}

function inRange(us: number): number | undefined {
  return Number.isSafeInteger(us) ? us : undefined;
}
