/**
 * Sensors that number their messages: `{"ts": …, "n": …}`, n from 0 on without gaps in each series, ts once in each series.
 * Those of some sites say a lot besides, so that their agent's buffer fills. One message in a thousand is none that a stream
 * can read: the loss ledger must have it.
 * They remember what the broker acknowledged. After a restart of the broker mqtt.js sends again what was not.
 */
import { randomBytes } from 'node:crypto';
import mqtt, { type MqttClient } from 'mqtt';
import { systemClock } from '@varve/common/clock.js';
import { waitFor } from '../processes.js';

export interface Series {
  readonly site: string;
  readonly device: string;
  published: number;
  /** Of 0 to published - 1, in any order. */
  readonly acknowledged: Set<number>;
}

export interface PublishersOptions {
  readonly brokerUrl: string;
  /** And how many bytes, which no packing makes less, each message of it carries for nothing. */
  readonly sites: ReadonlyMap<string, number>;
  readonly devicesPerSite: number;
  readonly messagesPerSecond: number;
}

const tickMs = 50;
/** They pause while the broker owes them this many acknowledgements. */
const unacknowledgedMax = 2_000;

/** An hour before midnight: the rows of a longer run lie on two days. */
const firstTsMs = Date.UTC(2026, 0, 31, 23, 0, 0);
const stepMs = 250;
const unreadableEvery = 1_000;
/** Every so many messages one comes late, of a minute earlier. */
const lateEvery = 200;
const latenessMs = 60_000;

export function timeOf(n: number): number {
  // A millisecond beside the regular ones, so that none is there twice.
  return firstTsMs + n * stepMs - (n % lateEvery === lateEvery - 1 ? latenessMs - 1 : 0);
}

export class Publishers {
  readonly series: readonly Series[];
  readonly #client: MqttClient;
  readonly #messagesPerSecond: number;
  readonly #ballastBytes: ReadonlyMap<string, number>;
  #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #next = 0;

  private constructor(client: MqttClient, options: PublishersOptions) {
    this.#client = client;
    this.#messagesPerSecond = options.messagesPerSecond;
    this.#ballastBytes = options.sites;
    this.series = [...options.sites.keys()].flatMap((site) =>
      Array.from({ length: options.devicesPerSite }, (_, index) => ({
        site,
        device: `device-${index + 1}`,
        published: 0,
        acknowledged: new Set<number>(),
      })),
    );
  }

  static async connect(options: PublishersOptions): Promise<Publishers> {
    const client = await mqtt.connectAsync(options.brokerUrl, { reconnectPeriod: 250, protocolVersion: 4 });
    // mqtt.js connects again by itself.
    client.on('error', () => undefined);
    return new Publishers(client, options);
  }

  get publishedCount(): number {
    return this.series.reduce((sum, { published }) => sum + published, 0);
  }

  get acknowledgedCount(): number {
    return this.series.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
  }

  start(): void {
    this.#running ??= this.#run(this.#stopping.signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const count = Math.round((this.#messagesPerSecond * tickMs) / 1_000);
      if (this.publishedCount - this.acknowledgedCount < unacknowledgedMax)
        for (let index = 0; index < count; index++) this.#publish();
      await systemClock.sleep(tickMs, signal);
    }
  }

  #publish(): void {
    const series = this.series[this.#next++ % this.series.length];
    if (!series) return;
    const n = series.published++;
    const topic = `plant/${series.site}/${series.device}/torture`;
    this.#client.publish(topic, this.#payloadOf(series.site, n), { qos: 1 }, (error) => {
      if (!error) series.acknowledged.add(n);
    });
  }

  #payloadOf(site: string, n: number): string {
    const ballastBytes = this.#ballastBytes.get(site) ?? 0;
    const ballast = ballastBytes > 0 ? { ballast: randomBytes(ballastBytes).toString('base64') } : {};
    const text = JSON.stringify({ ts: timeOf(n), n, ...ballast });
    return n % unreadableEvery === unreadableEvery - 1 ? text.slice(0, -1) : text;
  }

  /** Until the broker has acknowledged everything. */
  async stop(limitMs: number): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await waitFor(
      'the broker to acknowledge what was published',
      () => this.acknowledgedCount === this.publishedCount,
      limitMs,
      () => `${this.acknowledgedCount} of ${this.publishedCount} acknowledged`,
    );
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#client.endAsync(true);
  }
}
