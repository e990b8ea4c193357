/** Where the newest blocks begin that are kept for recognising redeliveries: so many messages, so many bytes, no more. */
import { recentMessagesMax } from './edge-log.js';

export interface BlockSize {
  readonly firstSeq: number;
  readonly messageCount: number;
  readonly bytes: number;
}

export class RecentBlocks {
  readonly #bytesMax: number;
  readonly #blocks: BlockSize[] = [];
  #messages = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** In the order of the log. The newest block stays, unless it is larger than the bound alone. */
  add(block: BlockSize): void {
    this.#blocks.push(block);
    this.#messages += block.messageCount;
    this.#bytes += block.bytes;
    while (this.#isOver()) {
      const oldest = this.#blocks.shift();
      this.#messages -= oldest?.messageCount ?? 0;
      this.#bytes -= oldest?.bytes ?? 0;
    }
  }

  clear(): void {
    this.#blocks.length = 0;
    this.#messages = 0;
    this.#bytes = 0;
  }

  #isOver(): boolean {
    if (this.#bytes > this.#bytesMax) return this.#blocks.length > 0;
    return this.#messages > recentMessagesMax && this.#blocks.length > 1;
  }

  /** The first message of the oldest block that is kept; undefined when there is none. */
  get firstSeq(): number | undefined {
    return this.#blocks[0]?.firstSeq;
  }
}
