/**
 * How the values of one window are distributed: a DDSketch (Masson, Rim, Lee, VLDB 2019), as the text that stands in its partial
 * (`common/contract/aggregate.ts`).
 *
 * Bin i holds the values in (γ^(i-1), γ^i], and 2γ^i/(γ+1) stands for it: within the accuracy of each of them, since
 * γ = (1 + accuracy) / (1 - accuracy). Values below zero have bins of their own, and those next to nothing are zero.
 *
 * Bounded: 1,024 bins above zero, as many below, which is nine powers of ten where all are taken. Beyond that the values
 * nearest to zero share a bin. The library that there is for it keeps arrays of 128 bins for the three that a window has.
 */
import { sketchAccuracy } from '@varve/common/contract/aggregate.js';

export const sketchBinsMax = 1_024;
/** What is written is rounded to `digits`; with that, values are within `sketchAccuracy`. */
const accuracy = sketchAccuracy * 0.99;
const digits = 5;
const gamma = (1 + accuracy) / (1 - accuracy);
const logGamma = Math.log(gamma);
/** Nearer to zero than any sensor. */
const least = 1e-300;
/** The middle of the last bin is beyond what a double holds. */
const greatest = 1.7976e308;

/** The values that stand for bins, as text: the same few for each window. */
const texts = new Map<number, string>();
const textsMax = 4 * sketchBinsMax;

/** How often each bin is there. */
type Bins = Map<number, number>;

export class Sketch {
  readonly #above: Bins = new Map();
  readonly #below: Bins = new Map();
  #zeros = 0;

  add(value: number): void {
    if (value >= least) count(this.#above, value);
    else if (value <= -least) count(this.#below, -value);
    else this.#zeros++;
  }

  /** Ascending; empty where there is no value. */
  toText(): string {
    const zeros = this.#zeros > 0 ? [`0:${this.#zeros}`] : [];
    return [
      ...bounded(this.#below)
        .reverse()
        .map((bin) => `-${textOf(bin)}`),
      ...zeros,
      ...bounded(this.#above).map(textOf),
    ].join(' ');
  }
}

function count(bins: Bins, value: number): void {
  const key = Math.ceil(Math.log(Math.min(value, Number.MAX_VALUE)) / logGamma);
  bins.set(key, (bins.get(key) ?? 0) + 1);
}

/** Ascending, and no more than there may be. */
function bounded(bins: Bins): [key: number, count: number][] {
  const all = [...bins].sort(([a], [b]) => a - b);
  const kept = all.splice(Math.max(0, all.length - sketchBinsMax));
  const [lowest] = kept;
  if (lowest) for (const [, others] of all) lowest[1] += others;
  return kept;
}

function textOf([key, values]: [key: number, count: number]): string {
  return `${valueOf(key)}:${values}`;
}

function valueOf(key: number): string {
  const known = texts.get(key);
  if (known !== undefined) return known;
  const middle = Math.exp(key * logGamma) * (2 / (1 + gamma));
  const text = String(Math.min(greatest, Number(middle.toPrecision(digits))));
  if (texts.size >= textsMax) texts.clear();
  texts.set(key, text);
  return text;
}
