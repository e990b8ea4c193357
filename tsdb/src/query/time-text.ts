/**
 * Times, dates and intervals as text: RFC 3339 in UTC, with as many digits of a second as the value needs.
 */

/** The years that RFC 3339 can write: 0000 to 9999, as days since 1970. */
const writableDays = { min: -719_528, max: 2_932_896 };
export const dayMinutes = 1_440;
const dayMs = 86_400_000;

const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));

/**
 * `2026-01-01T00:00:00Z`, `2026-01-01T00:00:00.25Z`. Undefined where RFC 3339 cannot write the year.
 * @param value since 1970, in units of which a second has `perSecond`
 */
export function timestampText(value: bigint, perSecond: number): string | undefined {
  return timeText(splitSeconds(value, perSecond), perSecond);
}

type SplitSeconds = readonly [seconds: number, fraction: number];

/** Rows come in order of time: most minutes are the same as the one before. */
let lastMinute: { readonly minute: number; readonly text: string | undefined } = {
  minute: Number.NaN,
  text: '',
};

function timeText([seconds, fraction]: SplitSeconds, perSecond: number): string | undefined {
  const minute = Math.floor(seconds / 60);
  const second = seconds - minute * 60;
  if (minute !== lastMinute.minute) lastMinute = { minute, text: minuteText(minute) };
  const { text } = lastMinute;
  if (text === undefined) return undefined;
  return `${text}${twoDigits[second] ?? ''}${fraction === 0 ? '' : fractionText(fraction, perSecond)}Z`;
}

/** `2026-01-01T00:00:`. Undefined as above. */
export function minuteText(minute: number): string | undefined {
  const minuteOfDay = modulo(minute, dayMinutes);
  const date = dateText((minute - minuteOfDay) / dayMinutes);
  if (date === undefined) return undefined;
  return `${date}T${twoDigits[Math.floor(minuteOfDay / 60)] ?? ''}:${twoDigits[minuteOfDay % 60] ?? ''}:`;
}

/** `2026-01-01T01:00:00+01:00`. @param offsetAt seconds east of Greenwich at an instant */
export function zonedText(
  value: bigint,
  perSecond: number,
  offsetAt: (epochSeconds: number) => number,
): string | undefined {
  const offset = offsetAt(Math.floor(Number(value) / perSecond));
  const text = timestampText(value + BigInt(offset * perSecond), perSecond);
  return offset === 0 ? text : text?.replace('Z', offsetText(offset));
}

function offsetText(offset: number): string {
  const minutes = Math.abs(offset) / 60;
  return `${offset < 0 ? '-' : '+'}${twoDigits[Math.floor(minutes / 60)] ?? ''}:${twoDigits[minutes % 60] ?? ''}`;
}

/** Answers are full of timestamps: numbers take a tenth of the time of BigInt, and hold microseconds until 2255. */
function splitSeconds(value: bigint, perSecond: number): SplitSeconds {
  const units = Number(value);
  if (Number.isSafeInteger(units)) return splitUnits(units, perSecond);
  const divisor = BigInt(perSecond);
  const fraction = ((value % divisor) + divisor) % divisor;
  return [Number((value - fraction) / divisor), Number(fraction)];
}

/** A quotient may be rounded up to the next second; a remainder takes longer than all the rest. */
function splitUnits(units: number, perSecond: number): SplitSeconds {
  const seconds = Math.floor(units / perSecond);
  const fraction = units - seconds * perSecond;
  return fraction < 0 ? [seconds - 1, fraction + perSecond] : [seconds, fraction];
}

/** Rows come in order of time: most dates are the same as the one before. */
let lastDate: { readonly days: number; readonly text: string } = { days: 0, text: '1970-01-01' };

/** `2026-01-01`; undefined as above. @param days since 1970 */
export function dateText(days: number): string | undefined {
  if (days < writableDays.min || days > writableDays.max) return undefined;
  if (days !== lastDate.days) lastDate = { days, text: new Date(days * dayMs).toISOString().slice(0, -14) };
  return lastDate.text;
}

/** ISO 8601: `P1M2DT3.5S`. Months, days and seconds stay apart, as they have no common measure. */
export function intervalText(months: number, days: number, micros: bigint): string {
  const parts = [
    [Math.trunc(months / 12), 'Y'],
    [months % 12, 'M'],
    [days, 'D'],
  ] as const;
  const date = parts.map(([value, unit]) => (value === 0 ? '' : `${value}${unit}`)).join('');
  const [seconds, fraction] = splitSeconds(micros < 0n ? -micros : micros, 1_000_000);
  const clock = `${micros < 0n ? '-' : ''}${seconds}${fractionText(fraction, 1_000_000)}S`;
  if (micros === 0n) return date === '' ? 'PT0S' : `P${date}`;
  return `P${date}T${clock}`;
}

export function fractionText(fraction: number, perSecond: number): string {
  if (fraction === 0) return '';
  // One more digit in front keeps the zeros behind the point.
  return `.${String(perSecond + fraction)
    .slice(1)
    .replace(/0+$/, '')}`;
}

/** In [0, divisor), also for negative numbers. */
function modulo(number: number, divisor: number): number {
  const remainder = number % divisor;
  return remainder < 0 ? remainder + divisor : remainder;
}
