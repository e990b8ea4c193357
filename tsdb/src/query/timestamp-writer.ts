/** Writes timestamps as `time-text.ts` has them: rows come in order of time, so that most begin as the one before. */
import { TextStamp, type TextPage } from './text-page.js';
import { dayMinutes, fractionText, minuteText } from './time-text.js';

const seconds = Array.from({ length: 60 }, (_, second) => String(second).padStart(2, '0'));
const endsWith = (quote: string) => seconds.map((text) => new TextStamp(`${text}Z${quote}`));
const [plainEnds, quotedEnds] = [endsWith(''), endsWith('"')];

export class TimestampWriter {
  readonly #perSecond: number;
  readonly #quote: '"' | '';
  readonly #ends: readonly TextStamp[];
  readonly #minutes: MinuteStamps;
  /** Of the minute before. */
  #start = Number.NaN;

  /** @param perSecond units in a second */
  constructor(perSecond: number, quote: '"' | '') {
    this.#perSecond = perSecond;
    this.#quote = quote;
    this.#ends = quote === '' ? plainEnds : quotedEnds;
    this.#minutes = new MinuteStamps(quote);
  }

  /** False, and nothing is written, where RFC 3339 cannot write the year. @param value a safe integer */
  put(value: number, page: TextPage): boolean {
    const perSecond = this.#perSecond;
    const perMinute = 60 * perSecond;
    if (!(value >= this.#start && value < this.#start + perMinute)) {
      const minute = Math.floor(value / perMinute);
      this.#start = minute * perMinute;
      this.#minutes.set(minute);
    }
    const units = value - this.#start;
    const { stamp } = this.#minutes;
    // A quotient may have been rounded up to the next minute.
    if (stamp === undefined || units < 0) return false;
    const second = Math.floor(units / perSecond);
    const fraction = units - second * perSecond;
    page.putStamp(stamp);
    const end = this.#ends[second];
    if (fraction === 0 && end) page.putStamp(end);
    else page.put(`${seconds[second] ?? ''}${fractionText(fraction, perSecond)}Z${this.#quote}`);
    return true;
  }
}

/** `"2026-01-01T00:00:`. */
class MinuteStamps {
  readonly #quote: string;
  #day = Number.NaN;
  #stamp: TextStamp | undefined;

  constructor(quote: string) {
    this.#quote = quote;
  }

  /** Undefined where RFC 3339 cannot write the year. */
  get stamp(): TextStamp | undefined {
    return this.#stamp;
  }

  set(minute: number): void {
    const day = Math.floor(minute / dayMinutes);
    if (day === this.#day && this.#stamp) {
      const minuteOfDay = minute - day * dayMinutes;
      const hour = Math.floor(minuteOfDay / 60);
      const { bytes, length } = this.#stamp;
      putTwoDigits(bytes, length - 6, hour);
      putTwoDigits(bytes, length - 3, minuteOfDay - 60 * hour);
    } else {
      const text = minuteText(minute);
      this.#stamp = text === undefined ? undefined : new TextStamp(this.#quote + text);
    }
    this.#day = day;
  }
}

const zero = 48;

function putTwoDigits(bytes: Uint8Array, at: number, value: number): void {
  const tens = Math.floor(value / 10);
  bytes[at] = zero + tens;
  bytes[at + 1] = zero + value - 10 * tens;
}
