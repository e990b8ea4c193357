/**
 * How values are written as text, where there is a choice.
 */

export type TimeFormat = 'rfc3339' | 's' | 'ms' | 'us' | 'ns';
export type Int64Style = 'auto' | 'string' | 'number';

export interface ValueStyle {
  readonly timeFormat: TimeFormat;
  /** Of timestamps with a zone in RFC 3339; they are UTC inside. */
  readonly timeZone: string;
  /** `auto`: text beyond ±(2^53 - 1), so that no reader loses digits unawares. */
  readonly int64: Int64Style;
}

export const defaultStyle: ValueStyle = { timeFormat: 'rfc3339', timeZone: 'UTC', int64: 'auto' };

/** Undefined where there is no such zone. */
export function zoneFormat(timeZone: string): Intl.DateTimeFormat | undefined {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  } catch {
    return undefined;
  }
}

const offsetPattern = /GMT(?:([+-])(\d\d):(\d\d))?/;
/** Offsets change at quarters of an hour; a Map of one zone's is small and makes the next look cheap. */
const quarterSeconds = 900;
const knownMax = 100_000;

/** Seconds east of Greenwich at an instant. */
export function zoneOffsets(timeZone: string): (epochSeconds: number) => number {
  if (timeZone === 'UTC') return () => 0;
  const format = zoneFormat(timeZone);
  const known = new Map<number, number>();
  return (epochSeconds) => {
    const quarter = Math.floor(epochSeconds / quarterSeconds);
    let offset = known.get(quarter);
    if (offset === undefined) {
      const text = format?.format(quarter * quarterSeconds * 1_000) ?? '';
      const [, sign, hours = '0', minutes = '0'] = offsetPattern.exec(text) ?? [];
      offset = (sign === '-' ? -1 : 1) * (Number(hours) * 3_600 + Number(minutes) * 60);
      if (known.size >= knownMax) known.clear();
      known.set(quarter, offset);
    }
    return offset;
  };
}
