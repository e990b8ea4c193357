/**
 * Times in payloads: numbers in a declared unit, or RFC 3339 text, to microseconds since 1970 UTC.
 *
 * Microseconds in a double are exact to ±2^53, the year 2255: later or earlier times are refused, not rounded.
 */

export const timeUnits = ['s', 'ms', 'us', 'ns', 'rfc3339'] as const;
export type TimeUnit = (typeof timeUnits)[number];

const unitUs: Readonly<Record<Exclude<TimeUnit, 'rfc3339' | 'ns'>, number>> = { s: 1e6, ms: 1e3, us: 1 };

/**
 * Microseconds, or undefined where `value` is no time in that unit. Nanoseconds are cut off, towards the past, exactly where they come as
 * text; fractions of
 * seconds and milliseconds are rounded, since 1.001 s is 1000999.9999999999 us in binary.
 */
export function parseTimeUs(value: unknown, unit: TimeUnit): number | undefined {
  if (unit === 'rfc3339') return typeof value === 'string' ? parseRfc3339Us(value) : undefined;
  if (unit === 'ns' && (typeof value === 'string' || typeof value === 'bigint')) {
    const exactUs = parseNanosecondsUs(String(value).trim());
    if (exactUs !== undefined) return inRange(exactUs);
  }
  const number =
    typeof value === 'bigint' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) return undefined;
  return inRange(unit === 'ns' ? Math.floor(number / 1_000) : Math.round(number * unitUs[unit]));
}

/** Digits of whole nanoseconds, which a double cannot hold since 1970-04-15, towards the past; undefined for anything else. */
function parseNanosecondsUs(digits: string): number | undefined {
  const [, sign, us = '', beyond = ''] = /^([+-]?)(\d*?)(\d{1,3})$/.exec(digits) ?? [];
  if (sign === undefined) return undefined;
  const whole = Number(us);
  return sign === '-' ? -whole - (Number(beyond) > 0 ? 1 : 0) + 0 : whole;
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
