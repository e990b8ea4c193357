/**
 * Groups messages so that one fsync serves many.
 *
 * 1. `add` copies a message into the open block. 2. The block is closed when it is full, when its first message has
 * waited `delayMs`, or – while the disk is busy with the block before – as soon as that is done. 3. The log appends it; only
 * then `onDurable` hears of its messages, in the order they were added. Blocks never overtake each other.
 *
 * If the append fails, `onFailed` hears of it, and the block is gone, with everything that was added meanwhile: that may be
 * the same messages, come again and joined to them. None was ever acknowledged, so all come again.
 */
import type { Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import type { GroupLimits } from '../config.js';
import type { Message } from '../message.js';
import { Wakeup } from '../wakeup.js';
import { BlockBuilder, type BlockClock } from './block.js';
import type { EdgeLog } from './edge-log.js';

/** As configured, but that how many are worth a commit may change with the connection. */
export interface CommitLimits extends Omit<GroupLimits, 'messagesMax'> {
  readonly messagesMax: () => number;
}

export interface GroupCommitterOptions<Ticket> {
  readonly log: Pick<EdgeLog, 'append'>;
  readonly source: string;
  readonly limits: CommitLimits;
  readonly clock: Clock;
  /** As for `BlockBuilder`. */
  readonly blockClock?: () => BlockClock;
  /** The messages of these tickets are on the disk. */
  readonly onDurable: (tickets: readonly Ticket[]) => void;
  /** The messages of these tickets are not, and will not be. */
  readonly onFailed: (failure: Failure, tickets: readonly Ticket[]) => void;
}

interface Committing<Ticket> {
  readonly messages: number;
  readonly bytes: number;
  readonly tickets: Ticket[];
}

export class GroupCommitter<Ticket> {
  readonly #options: GroupCommitterOptions<Ticket>;
  readonly #added: Wakeup;
  readonly #filled: Wakeup;
  readonly #block: BlockBuilder;
  #tickets: Ticket[] = [];
  #committing: Committing<Ticket> | undefined;

  constructor(options: GroupCommitterOptions<Ticket>) {
    this.#options = options;
    this.#block = new BlockBuilder(options.blockClock);
    this.#added = new Wakeup(options.clock);
    this.#filled = new Wakeup(options.clock);
  }

  /** Messages that are not durable yet. */
  get pendingMessages(): number {
    return this.#block.messageCount + (this.#committing?.messages ?? 0);
  }

  get pendingBytes(): number {
    return this.#block.byteLength + (this.#committing?.bytes ?? 0);
  }

  add(message: Message, ticket: Ticket): void {
    this.#block.add(message);
    this.#tickets.push(ticket);
    if (this.#block.messageCount === 1) this.#added.wake();
    if (this.#isFull()) this.#filled.wake();
  }

  /** A ticket for a message that was added before: it fares as the newest message does that is not durable yet. */
  join(ticket: Ticket): void {
    if (this.#block.messageCount > 0) this.#tickets.push(ticket);
    else if (this.#committing) this.#committing.tickets.push(ticket);
    else this.#options.onDurable([ticket]);
  }

  /** Commits until `signal` aborts, and then what is left. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted || this.#block.messageCount > 0) {
      if (this.#block.messageCount === 0) {
        await this.#added.wait(signal);
        continue;
      }
      if (!this.#isFull()) await this.#filled.wait(signal, this.#options.limits.delayMs);
      await this.#commit();
    }
  }

  #isFull(): boolean {
    const { messagesMax, bytesMax } = this.#options.limits;
    return this.#block.messageCount >= messagesMax() || this.#block.byteLength >= bytesMax;
  }

  async #commit(): Promise<void> {
    const { log, source } = this.#options;
    const tickets = this.#tickets;
    const messageCount = this.#block.messageCount;
    const bytes = this.#block.finish();
    this.#tickets = [];
    this.#committing = { messages: messageCount, bytes: bytes.length, tickets };
    const failure = await settle(log.append([{ source, messageCount, bytes }]));
    this.#committing = undefined;
    if (failure) this.#options.onFailed(failure, [...tickets, ...this.#giveUp()]);
    else this.#options.onDurable(tickets);
  }

  /** Empties the open block. Returns its tickets. */
  #giveUp(): Ticket[] {
    const tickets = this.#tickets;
    this.#block.finish();
    this.#tickets = [];
    return tickets;
  }
}

async function settle(append: Promise<unknown>): Promise<Failure | undefined> {
  try {
    await append;
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}
