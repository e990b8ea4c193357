/**
 * Times, dates and intervals as text: RFC 3339 in UTC, with as many digits of a second as the value needs.
 */

/** The years that RFC 3339 can write: 0000 to 9999. */
const writableMs = { min: -62_167_219_200_000, max: 253_402_300_799_999 };
const dayMs = 86_400_000;

/**
 * `2026-01-01T00:00:00Z`, `2026-01-01T00:00:00.25Z`. Undefined where RFC 3339 cannot write the year.
 * @param value since 1970, in units of which a second has `perSecond`
 */
export function timestampText(value: bigint, perSecond: bigint): string | undefined {
  const fraction = ((value % perSecond) + perSecond) % perSecond;
  const ms = Number((value - fraction) / perSecond) * 1_000;
  if (!isWritable(ms)) return undefined;
  // `.000Z` is the end of every text of whole seconds.
  return `${new Date(ms).toISOString().slice(0, -5)}${fractionText(fraction, perSecond)}Z`;
}

/** `2026-01-01`; undefined as above. @param days since 1970 */
export function dateText(days: number): string | undefined {
  const ms = days * dayMs;
  return isWritable(ms) ? new Date(ms).toISOString().slice(0, -14) : undefined;
}

/** ISO 8601: `P1M2DT3.5S`. Months, days and seconds stay apart, as they have no common measure. */
export function intervalText(months: number, days: number, micros: bigint): string {
  const parts = [
    [Math.trunc(months / 12), 'Y'],
    [months % 12, 'M'],
    [days, 'D'],
  ] as const;
  const date = parts.map(([value, unit]) => (value === 0 ? '' : `${value}${unit}`)).join('');
  const size = micros < 0n ? -micros : micros;
  const seconds = `${micros < 0n ? '-' : ''}${size / 1_000_000n}${fractionText(size % 1_000_000n, 1_000_000n)}S`;
  if (micros === 0n) return date === '' ? 'PT0S' : `P${date}`;
  return `P${date}T${seconds}`;
}

function isWritable(ms: number): boolean {
  return ms >= writableMs.min && ms <= writableMs.max;
}

function fractionText(fraction: bigint, perSecond: bigint): string {
  if (fraction === 0n) return '';
  // One more digit in front keeps the zeros behind the point.
  return `.${(perSecond + fraction).toString().slice(1).replace(/0+$/, '')}`;
}
