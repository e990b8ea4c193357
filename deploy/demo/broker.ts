/**
 * An MQTT broker for the demo and for tests: aedes, in memory, on the loopback. Not for production: it forgets sessions
 * and queues when it stops.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Aedes } from 'aedes';
import { Command } from 'commander';
import { messageOf } from '@varve/common/errors.js';
import { createLogger } from '@varve/common/log.js';
import { runProgram, stopSignal } from '@varve/common/program.js';
import { loopback, portTaken } from './ports.js';

const program = new Command('demo-broker')
  .description('An MQTT broker in memory, for the demo.')
  .requiredOption('--port <port>', 'where it listens, on 127.0.0.1')
  .action(async ({ port }: { port: string }) => serve(Number(port), stopSignal(process)));

/** @throws Failure `port_taken` */
async function serve(port: number, signal: AbortSignal): Promise<void> {
  const log = await createLogger({ program: 'demo-broker', level: 'info', stream: process.stderr });
  const broker = await Aedes.createBroker();
  broker.on('client', (client) => log.info({ client: client.id }, 'connected'));
  broker.on('clientDisconnect', (client) => log.info({ client: client.id }, 'disconnected'));
  broker.on('clientError', (client, error) =>
    log.warn({ client: client.id, reason: messageOf(error) }, 'a client failed'),
  );
  const server = createServer(broker.handle);
  try {
    server.listen(port, loopback);
    await once(server, 'listening').catch((cause: unknown) => {
      throw portTaken({ name: 'MQTT', option: '--port', port }, cause);
    });
    log.info({ port }, 'listening');
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    server.close();
    await new Promise<void>((closed) => broker.close(closed));
  }
  log.info('stopped');
}

await runProgram(process, program);
