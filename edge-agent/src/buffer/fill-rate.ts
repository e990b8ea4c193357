/** How fast the buffer would fill with the store away: what was appended, over the last hour at most. */

const everyMs = 10_000;
const samplesMax = 361;

interface Sample {
  readonly atMs: number;
  readonly appendedBytes: number;
}

export class FillRate {
  readonly #samples: Sample[] = [];

  /** `atMs` is monotonic; `appendedBytes` counts up. */
  add(atMs: number, appendedBytes: number): void {
    const last = this.#samples.at(-1);
    if (last && atMs - last.atMs < everyMs) return;
    this.#samples.push({ atMs, appendedBytes });
    if (this.#samples.length > samplesMax) this.#samples.shift();
  }

  /** Days until `roomBytes` are filled; undefined while nothing comes, or it is too early to say. */
  daysLeft(roomBytes: number): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.appendedBytes === first.appendedBytes) return undefined;
    const bytesPerMs = (last.appendedBytes - first.appendedBytes) / (last.atMs - first.atMs);
    return roomBytes / bytesPerMs / 86_400_000;
  }
}
