/** Where one lane reads the log, and its open window. */
import type { Router } from '../decode/router.js';
import { readBlock } from '../log/block.js';
import type { StoredBlock } from '../log/edge-log.js';
import type { ShippingLane } from './plan-lanes.js';
import { Window } from './window.js';

export class LaneReader {
  readonly lane: ShippingLane;
  #nextSeq: number;
  #window: Window | undefined;
  #arrivedMs = 0;

  constructor(lane: ShippingLane, nextSeq: number) {
    this.lane = lane;
    this.#nextSeq = nextSeq;
  }

  get window(): Window | undefined {
    return this.#window;
  }

  /** The next message to read. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** The first message that is in no shipment of this lane. */
  get unstagedSeq(): number {
    return this.#window?.firstSeq ?? this.#nextSeq;
  }

  /** When the window's first message came. */
  get arrivedMs(): number {
    return this.#arrivedMs;
  }

  /** Takes the messages up to before `endSeq`. The position may lie inside the first block. */
  take(blocks: readonly StoredBlock[], router: Router, monotonicMs: number, endSeq = Infinity): void {
    const window = (this.#window ??= new Window(monotonicMs, this.#nextSeq));
    for (const { firstSeq, source, bytes } of blocks) {
      let seq = firstSeq;
      for (const { topic, payload, arrivedMs, packetId } of readBlock(bytes)) {
        if (seq >= this.#nextSeq && seq < endSeq) {
          if (window.lastSeq < window.firstSeq) this.#arrivedMs = arrivedMs;
          // Member by member: a spread costs as much as decoding the message.
          window.take({ topic, payload, arrivedMs, packetId, seq, source }, router);
        }
        seq++;
      }
      this.#nextSeq = Math.max(this.#nextSeq, Math.min(seq, endSeq));
    }
  }

  /** Where there are no messages, there is nothing to wait for. */
  passTo(seq: number, monotonicMs: number): void {
    this.#window ??= new Window(monotonicMs, this.#nextSeq);
    this.#nextSeq = Math.max(this.#nextSeq, seq);
  }

  /** The window is staged. */
  closeWindow(): void {
    this.#window = undefined;
  }

  /** Nothing of the window has been staged: it is read again, or by the other lane. */
  goTo(seq: number): void {
    this.#window = undefined;
    this.#nextSeq = seq;
  }
}
