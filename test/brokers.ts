/**
 * MQTT brokers as processes of their own: Mosquitto where it is installed, and the one that the demo embeds.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  freePort,
  isListening,
  startNode,
  startProcess,
  waitFor,
  type Owner,
  type TestProcess,
} from './processes.js';
import { mosquitto } from './requirements.js';

export interface TestBroker {
  readonly port: number;
  /** `mqtt://127.0.0.1:…` */
  readonly url: string;
  readonly process: TestProcess;
}

export interface MosquittoOptions {
  /** Created if absent. */
  readonly dir: string;
  /** For a restart on the port it had. */
  readonly port?: number;
  /** Lines of its configuration behind those of the plain listener. */
  readonly more?: readonly string[];
}

/** Sessions and their queues have no limit; after an orderly stop they are there again on the same folder. */
export async function startMosquitto(
  owner: Owner,
  { dir, port, more = [] }: MosquittoOptions,
): Promise<TestBroker> {
  const program = mosquitto();
  if (program === undefined) throw new Error('skip this test without Mosquitto: see requirements.ts');
  const ownPort = port ?? (await freePort());
  mkdirSync(dir, { recursive: true });
  const configPath = join(dir, 'mosquitto.conf');
  writeFileSync(configPath, [mosquittoConfig(dir, ownPort), ...more, ''].join('\n'));
  return whenListening(startProcess(owner, program, ['-c', configPath]), ownPort);
}

export function mosquittoConfig(dir: string, port: number): string {
  return [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence true',
    `persistence_location ${dir}/`,
    'max_queued_messages 0',
    'max_inflight_messages 1000',
    // As root it would change to a user that may not write the folder.
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    '',
  ].join('\n');
}

/** The broker of the demo; keeps nothing over a restart. */
export async function startEmbeddedBroker(owner: Owner, port?: number): Promise<TestBroker> {
  const ownPort = port ?? (await freePort());
  const script = fileURLToPath(new URL('../../deploy/dist/demo/broker.js', import.meta.url));
  return whenListening(startNode(owner, script, ['--port', String(ownPort)]), ownPort);
}

async function whenListening(process: TestProcess, port: number): Promise<TestBroker> {
  await waitFor(
    `a broker on port ${port}`,
    () => {
      if (!process.isRunning) throw new Error(`the broker ended early:\n${process.output}`);
      return isListening(port);
    },
    15_000,
    () => process.output,
  );
  return { port, url: `mqtt://127.0.0.1:${port}`, process };
}
