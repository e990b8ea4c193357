/**
 * Text that is written as bytes of UTF-8 right away. Strings that are joined to long ones, and turned into bytes when they are
 * sent, take half as long again for an answer of thousands of rows, and leave much garbage.
 *
 * Grows as needed: whoever writes takes what is there once it is long enough.
 */
import { endianness } from 'node:os';

const bytesAtFirst = 8_192;
/** After the first page: long answers are taken by about so much. */
const bytesLater = 80 * 1_024;
/** Longer strings are written by Node; for shorter ones its call takes longer than all their characters. */
const shortLength = 40;

const [minus, point, zero] = [45, 46, 48];

const noBytes = Buffer.alloc(0);

const wordBytes = 8;
const isLittleEndian = endianness() === 'LE';

/**
 * A text that is written often: copied word by word, which takes a sixth of the time of bytes. A word is a double, the widest there is
 * without an object. None of them is NaN, which might be written as another NaN: in UTF-8 no byte is 0xFF, and 0x7F never follows
 * 0xF0 and up.
 */
export class TextStamp {
  readonly length: number;
  /** May be changed, as long as they are ASCII. */
  readonly bytes: Uint8Array;
  /** With what stands behind the text in memory. */
  readonly words: Float64Array;

  constructor(text: string) {
    this.length = Buffer.byteLength(text);
    this.words = new Float64Array(Math.ceil(this.length / wordBytes));
    this.bytes = new Uint8Array(this.words.buffer, 0, this.length);
    Buffer.from(this.words.buffer).write(text);
  }
}

export class TextPage {
  #bytes = Buffer.allocUnsafe(bytesAtFirst);
  #view = viewOf(this.#bytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  put(text: string): void {
    const { length } = text;
    this.#reserve(3 * length);
    const [bytes, start] = [this.#bytes, this.#length];
    let at = start;
    if (length <= shortLength)
      for (; at < start + length; at++) {
        const code = text.charCodeAt(at - start);
        if (code > 127) break;
        bytes[at] = code;
      }
    this.#length = at === start + length ? at : start + bytes.write(text, start);
  }

  /** Of ASCII. */
  putCharacter(code: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = code;
  }

  putStamp({ words, length }: TextStamp): void {
    this.#reserve(wordBytes * words.length);
    const [view, start] = [this.#view, this.#length];
    for (let word = 0; word < words.length; word++)
      view.setFloat64(start + wordBytes * word, words[word] ?? 0, isLittleEndian);
    this.#length = start + length;
  }

  putBytes(from: Uint8Array): void {
    this.#reserve(from.length);
    this.#bytes.set(from, this.#length);
    this.#length += from.length;
  }

  /** With zeros in front. @param value a whole number, not negative, of at most `width` digits */
  putDigits(value: number, width: number): void {
    this.#reserve(width);
    const [bytes, start] = [this.#bytes, this.#length];
    let at = start + width - 1;
    let left = value;
    for (; left > smallMax; at--) {
      const others = Math.floor(left / 10);
      bytes[at] = zero + left - 10 * others;
      left = others;
    }
    // Of 32 bits, which divide in half the time.
    for (; at >= start; at--) {
      const others = (left / 10) | 0;
      bytes[at] = zero + left - 10 * others;
      left = others;
    }
    this.#length = start + width;
  }

  /** In place of the two characters that stand so far before the end. @param value below 100 */
  overwriteDigits(back: number, value: number): void {
    const [bytes, at] = [this.#bytes, this.#length - back];
    const tens = (value / 10) | 0;
    bytes[at] = zero + tens;
    bytes[at + 1] = zero + value - 10 * tens;
  }

  /** Takes so many bytes back. */
  shorten(count: number): void {
    this.#length -= count;
  }

  /**
   * What `String` writes. What sensors send has few digits, and taking them one by one takes a quarter of the time of the
   * general way.
   * @param value finite
   */
  putNumber(value: number): void {
    const size = Math.abs(value);
    const hundredths = Math.round(size * 100);
    if (hundredths < smallMax && hundredths / 100 === size) {
      this.#putHundredths(value < 0, hundredths | 0);
      return;
    }
    const millionths = Math.round(size * 1e6);
    if (millionths < scaledMax && millionths / 1e6 === size) this.#putMillionths(value < 0, millionths);
    else this.put(String(value));
  }

  /** @param hundredths of 32 bits */
  #putHundredths(isNegative: boolean, hundredths: number): void {
    this.#reserve(13);
    const bytes = this.#bytes;
    let at = this.#length;
    const whole = (hundredths / 100) | 0;
    const fraction = hundredths - 100 * whole;
    if (isNegative) bytes[at++] = minus;
    if (whole >= 100) at = putWhole(bytes, at, whole);
    else {
      const tens = (whole / 10) | 0;
      if (tens > 0) bytes[at++] = zero + tens;
      bytes[at++] = zero + whole - 10 * tens;
    }
    if (fraction > 0) {
      const tenths = (fraction / 10) | 0;
      bytes[at++] = point;
      bytes[at++] = zero + tenths;
      if (fraction > 10 * tenths) bytes[at++] = zero + fraction - 10 * tenths;
    }
    this.#length = at;
  }

  #putMillionths(isNegative: boolean, millionths: number): void {
    const whole = Math.floor(millionths / 1e6);
    const fraction = millionths - 1e6 * whole;
    if (isNegative) this.putCharacter(minus);
    this.putDigits(whole, widthOf(whole));
    if (fraction === 0) return;
    this.putCharacter(point);
    this.putDigits(fraction, 6);
    while (this.#bytes[this.#length - 1] === zero) this.#length -= 1;
  }

  /** All of it. What is written next is on a new page. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    // Most answers are taken once: the next page is made when something is written.
    this.#useBytes(noBytes);
    this.#length = 0;
    return taken;
  }

  /** As `take`, as a string. */
  takeText(): string {
    const text = this.#bytes.toString('utf8', 0, this.#length);
    this.#length = 0;
    return text;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, bytesLater, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#useBytes(larger);
  }

  #useBytes(bytes: Buffer<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}

/** A decimal of so few digits that is read as a double is the shortest one that is, so that it is what `String` writes. */
const scaledMax = 1e15;
const smallMax = 2 ** 31 - 1;

/** @param whole of 32 bits @returns where it ends */
function putWhole(bytes: Buffer, start: number, whole: number): number {
  const end = start + widthOf(whole);
  let [place, left] = [end - 1, whole];
  do {
    const others = (left / 10) | 0;
    bytes[place--] = zero + left - 10 * others;
    left = others;
  } while (left > 0);
  return end;
}

function widthOf(whole: number): number {
  let width = 1;
  for (let power = 10; whole >= power; power *= 10) width++;
  return width;
}
