/**
 * Sends the readings of a plant that does not exist (`plant.ts`) to an MQTT broker, QoS 1.
 *
 * What the broker has not acknowledged is bounded: past that, readings are left out and counted, as a sensor with little
 * memory would. While the broker is away it reconnects and goes on.
 */
import { Command } from 'commander';
import { connect, type MqttClient } from 'mqtt';
import { systemClock } from '@varve/common/clock.js';
import { messageOf } from '@varve/common/errors.js';
import { createLogger, type Logger } from '@varve/common/log.js';
import { runProgram, stopSignal } from '@varve/common/program.js';
import { Plant, type Message } from './plant.js';

const unacknowledgedMax = 1_000;
const tickMs = 50;
const reconnectMs = 500;
const closeLimitMs = 2_000;
const reportEveryMs = 60_000;

const program = new Command('demo-simulator')
  .description('Sends readings of a plant that does not exist.')
  .requiredOption('--mqtt <url>', 'the broker, such as mqtt://127.0.0.1:1883')
  .option('--seed <number>', 'the same seed gives the same course of values', '1')
  .action(async ({ mqtt, seed }: { mqtt: string; seed: string }) => {
    const log = await createLogger({ program: 'demo-simulator', level: 'info', stream: process.stderr });
    const plant = new Plant(Number(seed), systemClock.nowMs());
    await simulate(plant, new Publisher(mqtt, log), log, stopSignal(process));
  });

async function simulate(plant: Plant, publisher: Publisher, log: Logger, signal: AbortSignal): Promise<void> {
  let reportMs = systemClock.monotonicMs() + reportEveryMs;
  while (!signal.aborted) {
    for (const message of plant.readUntil(systemClock.nowMs())) publisher.publish(message);
    if (systemClock.monotonicMs() > reportMs) {
      reportMs += reportEveryMs;
      log.info(publisher.counts, 'sending');
    }
    await systemClock.sleep(tickMs, signal);
  }
  await publisher.close();
  log.info(publisher.counts, 'stopped');
}

class Publisher {
  readonly #client: MqttClient;
  #unacknowledged = 0;
  #sent = 0;
  #leftOut = 0;

  constructor(url: string, log: Logger) {
    this.#client = connect(url, { clientId: 'demo-simulator', reconnectPeriod: reconnectMs });
    this.#client.on('connect', () => log.info('connected'));
    this.#client.on('close', () => log.info('not connected'));
    this.#client.on('error', (error) => log.warn({ reason: messageOf(error) }, 'the broker does not answer'));
  }

  get counts() {
    return { sent: this.#sent, unacknowledged: this.#unacknowledged, leftOut: this.#leftOut };
  }

  publish({ topic, payload }: Message): void {
    if (this.#unacknowledged >= unacknowledgedMax) {
      this.#leftOut++;
      return;
    }
    this.#unacknowledged++;
    this.#client.publish(topic, payload, { qos: 1 }, (error) => {
      this.#unacknowledged--;
      if (!error) this.#sent++;
    });
  }

  /** Waits a moment for the broker to acknowledge the rest: it may be gone by now. */
  async close(): Promise<void> {
    const endMs = systemClock.monotonicMs() + closeLimitMs;
    while (this.#unacknowledged > 0 && systemClock.monotonicMs() < endMs) await systemClock.sleep(tickMs);
    await this.#client.endAsync(true);
  }
}

await runProgram(process, program);
