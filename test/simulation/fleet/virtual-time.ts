/**
 * A clock on which nothing happens but what was put on it: sleepers wake in the order of their moments, and between two of them
 * everything that can go on goes on.
 */
import type { Clock } from '@varve/common/clock.js';

interface Sleeper {
  readonly dueMs: number;
  /** Of those that are due at once, who came first. */
  readonly order: number;
  readonly wake: () => void;
}

export class VirtualTime implements Clock {
  #nowMs = 0;
  #order = 0;
  /** A binary heap: the next one is at its head. */
  readonly #sleepers: Sleeper[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => void this.after(ms, wake));
  }

  after(ms: number, work: () => void): () => void {
    let isOff = false;
    const wake = () => isOff || work();
    this.#push({ dueMs: this.#nowMs + ms, order: (this.#order += 1), wake });
    return () => {
      isOff = true;
    };
  }

  /** Until `untilMs`, or nobody sleeps any more. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      await settled();
      const next = this.#sleepers[0];
      if (!next || next.dueMs > untilMs) break;
      this.#pop();
      this.#nowMs = next.dueMs;
      next.wake();
    }
    this.#nowMs = untilMs;
  }

  #push(sleeper: Sleeper): void {
    const heap = this.#sleepers;
    let index = heap.push(sleeper) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(heap[index], heap[parent])) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #pop(): void {
    const heap = this.#sleepers;
    this.#swap(0, heap.length - 1);
    heap.pop();
    for (let index = 0; ;) {
      const [left, right] = [2 * index + 1, 2 * index + 2];
      const child = isBefore(heap[right], heap[left]) ? right : left;
      if (!isBefore(heap[child], heap[index])) return;
      this.#swap(index, child);
      index = child;
    }
  }

  #swap(left: number, right: number): void {
    const [a, b] = [this.#sleepers[left], this.#sleepers[right]];
    if (a && b) [this.#sleepers[left], this.#sleepers[right]] = [b, a];
  }
}

function isBefore(left: Sleeper | undefined, right: Sleeper | undefined): boolean {
  if (!left || !right) return left !== undefined;
  return left.dueMs < right.dueMs || (left.dueMs === right.dueMs && left.order < right.order);
}

/** Every promise that can be settled is. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
