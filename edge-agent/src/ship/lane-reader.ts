/**
 * Where one lane reads the log, and its open window.
 *
 * A block of a boot whose clock is not trusted yet is held back, with everything behind it, if a message in it is to become a row at its
 * arrival time. The log is one sequence, and so are windows: streams with a time of their own wait there too.
 */
import type { ArrivalGate } from '../clock-trust/clock-watch.js';
import type { Router } from '../decode/router.js';
import { isEvicted, readBlock } from '../log/block.js';
import type { StoredBlock } from '../log/edge-log.js';
import type { ShippingLane } from './plan-lanes.js';
import { Window } from './window.js';

export class LaneReader {
  readonly lane: ShippingLane;
  #nextSeq: number;
  #window: Window | undefined;
  readonly #gate: ArrivalGate | undefined;
  #arrivedMs = 0;
  #isHeld = false;

  /** Without a gate nothing waits. */
  constructor(lane: ShippingLane, nextSeq: number, gate?: ArrivalGate) {
    this.lane = lane;
    this.#nextSeq = nextSeq;
    this.#gate = gate;
  }

  /** The next message waits for the clock. */
  get isHeld(): boolean {
    return this.#isHeld && this.#gate?.isClosed === true;
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

  /**
   * Takes the messages up to before `endSeq`, or before the first block that is held back. The position may lie inside the first
   * block. False when nothing was taken.
   */
  take(blocks: readonly StoredBlock[], router: Router, monotonicMs: number, endSeq = Infinity): boolean {
    let isTaken = false;
    for (const block of blocks) {
      this.#isHeld = this.#holdsBack(block, router);
      if (this.#isHeld) break;
      this.#takeBlock(block, router, monotonicMs, endSeq);
      isTaken = true;
    }
    return isTaken;
  }

  #takeBlock(
    { firstSeq, source, bytes, arrival, choices }: StoredBlock,
    router: Router,
    monotonicMs: number,
    endSeq: number,
  ): void {
    const window = (this.#window ??= new Window(monotonicMs, this.#nextSeq));
    let seq = firstSeq;
    for (const { topic, payload, arrivedMs, arrivedUs, packetId } of readBlock(bytes, arrival?.shiftMs)) {
      if (seq >= this.#nextSeq && seq < endSeq) {
        if (window.lastSeq < window.firstSeq) this.#arrivedMs = arrivedMs;
        // Member by member: a spread costs as much as decoding the message.
        const streams = choices?.get(seq);
        const message = { topic, payload, arrivedMs, arrivedUs, packetId, seq, source, streams };
        window.take(message, router, arrival);
      }
      seq++;
    }
    this.#nextSeq = Math.max(this.#nextSeq, Math.min(seq, endSeq));
  }

  #holdsBack({ bytes, arrival }: StoredBlock, router: Router): boolean {
    if (arrival?.state !== 'open' || this.#gate?.mustWait(arrival.boot) !== true) return false;
    for (const message of readBlock(bytes))
      if (!isEvicted(message) && router.arrivalStreams(message.topic).length > 0) return true;
    return false;
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
