/** Writes timestamps as `time-text.ts` has them: rows come in order of time, so that most are of the day and minute of the one before. */
import { TextStamp, type TextPage } from './text-page.js';
import { dayMinutes, fractionText, minuteText } from './time-text.js';

const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));

/** How far before the end of `00:00:00Z` its parts begin; a quote comes on top. */
const [hourBack, minuteBack, secondBack] = [9, 6, 3];

export class TimestampWriter {
  readonly #perSecond: number;
  readonly #perMinute: number;
  readonly #quote: '"' | '';
  /** Of the minute before: where it starts, and its parts. */
  #start = Number.NaN;
  #day = Number.NaN;
  #hour = 0;
  #minute = 0;
  /** `"2026-01-01T00:00:00Z"`. Undefined where RFC 3339 cannot write the year. */
  #midnight: TextStamp | undefined;

  /** @param perSecond units in a second */
  constructor(perSecond: number, quote: '"' | '') {
    this.#perSecond = perSecond;
    this.#perMinute = 60 * perSecond;
    this.#quote = quote;
  }

  /** False, and nothing is written, where RFC 3339 cannot write the year. @param value a safe integer */
  put(value: number, page: TextPage): boolean {
    if (!(value >= this.#start && value < this.#start + this.#perMinute)) this.#enter(value);
    const units = value - this.#start;
    const midnight = this.#midnight;
    // A quotient may have been rounded up to the next minute.
    if (midnight === undefined || units < 0) return false;
    // Not negative and below 60, so that this is the floor, in a third of the time.
    const second = (units / this.#perSecond) | 0;
    const fraction = units - second * this.#perSecond;
    const quoteLength = this.#quote.length;
    // Not in the stamp: what has just been written as bytes is slow to read as words.
    page.putStamp(midnight);
    page.overwriteDigits(hourBack + quoteLength, this.#hour);
    page.overwriteDigits(minuteBack + quoteLength, this.#minute);
    if (fraction === 0) page.overwriteDigits(secondBack + quoteLength, second);
    else {
      page.shorten(secondBack + quoteLength);
      page.put(`${twoDigits[second] ?? ''}${fractionText(fraction, this.#perSecond)}Z${this.#quote}`);
    }
    return true;
  }

  /** Another minute. */
  #enter(value: number): void {
    const minute = Math.floor(value / this.#perMinute);
    this.#start = minute * this.#perMinute;
    const day = Math.floor(minute / dayMinutes);
    const minuteOfDay = minute - day * dayMinutes;
    this.#hour = Math.floor(minuteOfDay / 60);
    this.#minute = minuteOfDay - 60 * this.#hour;
    if (day === this.#day) return;
    const text = minuteText(day * dayMinutes);
    this.#midnight = text === undefined ? undefined : new TextStamp(`${this.#quote}${text}00Z${this.#quote}`);
    this.#day = day;
  }
}
