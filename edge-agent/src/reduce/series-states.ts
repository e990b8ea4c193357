/**
 * What a reducer remembers of each series and field of a table: the value shipped last, and, where a stream has swinging doors,
 * the row held back since and how far the doors are open. Typed arrays; a series has a slot, a field an array of cells.
 *
 * As bytes it is what is durable: the slots that have changed, or all of them. Bounded by `cellsMax`: a series or field
 * beyond it has no cells, and is shipped as it comes.
 */
import { crc32 } from 'node:zlib';
import { tagsOfKey } from './series-keys.js';

/** Of a cell: type (`typeCodes`, 0: nothing), time and value shipped last; with doors also type, time and value held, and slopes. */
export const cell = {
  type: 0,
  us: 1,
  value: 2,
  heldType: 3,
  heldUs: 4,
  held: 5,
  lowest: 6,
  highest: 7,
} as const;
const plainStride = 3;
const doorStride = 8;
const slotsFirst = 64;

/** Longer texts are not remembered: they always say something new. */
export const textCharsMax = 200;

type SeriesTags = ReturnType<typeof tagsOfKey>;

/** Texts of cells: where the value is 0, the text is here. By slot. */
type Texts = (string | undefined)[];

export interface FieldStates {
  readonly name: string;
  cells: Float64Array;
  texts: Texts;
  heldTexts: Texts;
}

interface Header {
  readonly config: string;
  readonly hasDoors: boolean;
  readonly fields: readonly string[];
  readonly slots: readonly number[];
  /** Of each of these slots. */
  readonly keys: readonly string[];
  /** [field, place in `slots`, text, text held] */
  readonly texts: readonly (readonly [number, number, string | null, string | null])[];
}

export class SeriesStates {
  readonly config: string;
  readonly stride: number;
  readonly #cellsMax: number;
  /** By slot. */
  keys: string[] = [];
  /** Of slots whose tags were asked for: parsing a key costs more than all else that is done to a row. */
  #tags: (SeriesTags | undefined)[] = [];
  #slots = new Map<string, number>();
  fields: FieldStates[] = [];
  #capacity = slotsFirst;
  #touched = new Set<number>();

  /** `config`: what the states were made by; those of another one are of no use. */
  constructor(config: string, hasDoors: boolean, cellsMax: number) {
    this.config = config;
    this.stride = hasDoors ? doorStride : plainStride;
    this.#cellsMax = cellsMax;
  }

  get hasDoors(): boolean {
    return this.stride === doorStride;
  }

  get seriesCount(): number {
    return this.keys.length;
  }

  /** Slots that have changed since it was copied. */
  get touchedCount(): number {
    return this.#touched.size;
  }

  get estimatedBytes(): number {
    return this.keys.length * (this.fields.length * this.stride * 8 + 50);
  }

  /** What has changed is durable. */
  forgetTouched(): void {
    this.#touched = new Set();
  }

  /** To be changed in its stead, and to take its place. */
  copy(): SeriesStates {
    const copy = new SeriesStates(this.config, this.hasDoors, this.#cellsMax);
    copy.keys = [...this.keys];
    copy.#tags = [...this.#tags];
    copy.#slots = new Map(this.#slots);
    copy.#capacity = this.#capacity;
    copy.fields = this.fields.map(({ name, cells, texts, heldTexts }) => ({
      ...{ name, cells: cells.slice(), texts: [...texts], heldTexts: [...heldTexts] },
    }));
    return copy;
  }

  touch(slot: number): void {
    this.#touched.add(slot);
  }

  tagsOf(slot: number): SeriesTags {
    return (this.#tags[slot] ??= tagsOfKey(this.keys[slot] ?? '[]'));
  }

  /** -1 where there is no room for one more. */
  slotOf(key: string): number {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    if ((this.keys.length + 1) * Math.max(1, this.fields.length) > this.#cellsMax) return -1;
    const slot = this.keys.push(key) - 1;
    this.#slots.set(key, slot);
    if (slot >= this.#capacity) this.#grow();
    return slot;
  }

  /** Undefined where there is no room for one more. */
  fieldOf(name: string): FieldStates | undefined {
    const known = this.fields.find((field) => field.name === name);
    if (known) return known;
    if (this.keys.length * (this.fields.length + 1) > this.#cellsMax) return undefined;
    const field = {
      ...{ name, texts: [], heldTexts: [] },
      cells: new Float64Array(this.#capacity * this.stride),
    };
    this.fields.push(field);
    return field;
  }

  /** All of it, or the slots that have changed. */
  toBytes(isWhole: boolean): Uint8Array<ArrayBuffer> {
    const { config, hasDoors, fields, stride } = this;
    const slots = isWhole ? this.keys.map((_, slot) => slot) : [...this.#touched];
    const header: Header = {
      ...{ config, hasDoors, slots, fields: fields.map(({ name }) => name) },
      keys: slots.map((slot) => this.keys[slot] ?? ''),
      texts: fields.flatMap(({ texts, heldTexts }, field) =>
        slots.flatMap((slot, place) =>
          texts[slot] === undefined && heldTexts[slot] === undefined
            ? []
            : [[field, place, texts[slot] ?? null, heldTexts[slot] ?? null] as const],
        ),
      ),
    };
    const values = new Float64Array(slots.length * fields.length * stride);
    let at = 0;
    for (const slot of slots)
      for (const { cells } of fields) {
        values.set(cells.subarray(slot * stride, (slot + 1) * stride), at);
        at += stride;
      }
    return frame(Buffer.from(JSON.stringify(header)), values);
  }

  /** Takes over what `toBytes` gave of states of the same config. */
  apply(stored: StoredStates): void {
    const { header, values } = stored;
    const fields = header.fields.map((name) => this.fieldOf(name));
    const { stride } = this;
    for (const [place, key] of header.keys.entries()) {
      const slot = this.slotOf(key);
      if (slot < 0) continue;
      for (const [index, field] of fields.entries()) {
        const at = (place * fields.length + index) * stride;
        field?.cells.set(values.subarray(at, at + stride), slot * stride);
        if (!field) continue;
        field.texts[slot] = undefined;
        field.heldTexts[slot] = undefined;
      }
    }
    for (const [index, place, text, heldText] of header.texts) {
      const field = fields[index];
      const slot = this.#slots.get(header.keys[place] ?? '');
      if (!field || slot === undefined) continue;
      field.texts[slot] = text ?? undefined;
      field.heldTexts[slot] = heldText ?? undefined;
    }
  }

  #grow(): void {
    this.#capacity *= 2;
    for (const field of this.fields) {
      const cells = new Float64Array(this.#capacity * this.stride);
      cells.set(field.cells);
      field.cells = cells;
    }
  }
}

export interface StoredStates {
  readonly header: Header;
  readonly values: Float64Array;
}

/** Undefined where the bytes are damaged. */
export function readStates(bytes: Uint8Array): StoredStates | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8 || view.getUint32(0, true) !== crc32(bytes.subarray(4))) return undefined;
  const headerEnd = 8 + view.getUint32(4, true);
  const header = JSON.parse(Buffer.from(bytes.subarray(8, headerEnd)).toString()) as Header;
  return { header, values: new Float64Array(bytes.slice(headerEnd).buffer) };
}

/** CRC of what follows it, length of the header, header, values: little-endian, as all machines of today are. */
function frame(header: Uint8Array, values: Float64Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8 + header.length + values.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, header.length, true);
  bytes.set(header, 8);
  bytes.set(new Uint8Array(values.buffer), 8 + header.length);
  view.setUint32(0, crc32(bytes.subarray(4)), true);
  return bytes;
}
