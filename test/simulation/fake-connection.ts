/** One connection to the fake broker, as `MqttConnection` is one to a real one. Both directions keep their order. */
import type { Arrival, SourceConnection } from '@varve/edge-agent/source/mqtt-connection.js';
import type { Effects } from './effects.js';
import type { FakeMessage } from './fake-messages.js';

export interface FakeConnectionOptions {
  readonly effects: Effects;
  readonly number: number;
  readonly sessionPresent: boolean;
  readonly isDurable: (message: FakeMessage) => boolean;
  /** At the broker. */
  readonly onPuback: (packetId: number) => void;
  readonly onClosed: () => void;
  /** At the agent. */
  readonly onArrival: (arrival: Arrival) => void;
  /** Planted: where acknowledgements go instead. */
  readonly other?: () => FakeConnection | undefined;
}

export class FakeConnection implements SourceConnection {
  readonly number: number;
  readonly sessionPresent: boolean;
  readonly closed: Promise<string>;
  readonly #options: FakeConnectionOptions;
  /** QoS 1, arrived at the agent and not acknowledged, in order. */
  readonly #owed: { readonly packetId: number; readonly message: FakeMessage }[] = [];
  #close: (reason: string) => void = () => undefined;
  /** As the agent sees it. */
  #isOpen = true;

  constructor(options: FakeConnectionOptions) {
    this.#options = options;
    this.number = options.number;
    this.sessionPresent = options.sessionPresent;
    this.closed = new Promise((resolve) => (this.#close = resolve));
  }

  send(message: FakeMessage, packetId: number, isRepeated: boolean): void {
    const { effects, onArrival, isDurable } = this.#options;
    const { id, topic, payload } = message;
    const again = isRepeated ? ' again' : '';
    if (isRepeated) effects.seen.add('sent again');
    const arrive = () => {
      if (!this.#isOpen) return;
      if (isRepeated && isDurable(message)) effects.seen.add('known again');
      if (packetId !== 0) this.#owed.push({ packetId, message });
      onArrival({ topic, payload, packetId, isRepeated, proceed: () => undefined });
    };
    effects.queue(
      `${this.#name}: message ${id} arrives${again}, packet ${packetId}`,
      'agent',
      arrive,
      this.#name,
    );
  }

  /** The acknowledgements must be the next ones owed here, of messages that are on the disk (DESIGN I1). */
  acknowledge(packetIds: readonly number[]): number {
    const { effects, other, isDurable, onPuback } = this.#options;
    const target = this.#isOpen ? this : other?.();
    if (target !== this) return target?.acknowledge(packetIds) ?? 0;
    for (const packetId of packetIds) {
      const next = this.#owed.shift();
      const id = next?.message.id ?? 'none';
      if (next?.packetId !== packetId)
        effects.violate(`${this.#name}: packet ${packetId} is acknowledged, message ${id} was next`);
      else if (!isDurable(next.message))
        effects.violate(`${this.#name}: message ${id} is acknowledged, and not on the disk`);
    }
    const arrive = () => {
      for (const packetId of packetIds) onPuback(packetId);
    };
    effects.queue(
      `${this.#name}: PUBACK ${packetIds.join(' ')} at the broker`,
      'world',
      arrive,
      `${this.#name} back`,
    );
    return packetIds.length;
  }

  async end(): Promise<void> {
    const { effects, onClosed } = this.#options;
    this.#isOpen = false;
    await effects.call(`${this.#name}: DISCONNECT`, onClosed);
  }

  destroy(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { effects, onClosed } = this.#options;
    effects.queue(`${this.#name}: the broker sees its end`, 'world', onClosed, `${this.#name} back`);
    this.#hearOfEnd('destroyed');
  }

  /** The broker is not there any more; the agent hears of it later. */
  cut(isBackLost: boolean): void {
    const { effects } = this.#options;
    effects.cut(this.#name);
    if (isBackLost) effects.cut(`${this.#name} back`);
    this.#hearOfEnd('cut');
  }

  get #name(): string {
    return `connection ${this.number}`;
  }

  #hearOfEnd(reason: string): void {
    this.#options.effects.queue(`${this.#name}: the agent hears that it is ${reason}`, 'agent', () => {
      this.#isOpen = false;
      this.#close(reason);
    });
  }
}
