/**
 * The ports of the demo: all on the loopback, and looked at before anything starts, so that a taken one is named together
 * with the option that chooses another.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Failure, messageOf, systemCodeOf } from '@varve/common/errors.js';

export const loopback = '127.0.0.1';

export interface NamedPort {
  /** What it is for, as a person calls it. */
  readonly name: string;
  readonly option: string;
  readonly port: number;
}

/** @throws Failure `port_taken` for the first that is taken, `config_invalid` where two are the same */
export async function requireFreePorts(ports: readonly NamedPort[]): Promise<void> {
  for (const [index, { name, option, port }] of ports.entries()) {
    const twin = ports.slice(0, index).find((other) => other.port === port);
    if (twin !== undefined)
      throw new Failure('config_invalid', `${name} and ${twin.name} cannot both have port ${port}`, {
        hint: `choose another with ${option}`,
      });
  }
  for (const named of ports) {
    const cause = await tryListening(named.port);
    if (cause !== undefined) throw portTaken(named, cause);
  }
}

export function portTaken({ name, option, port }: NamedPort, cause: unknown): Failure {
  const isTaken = systemCodeOf(cause) === 'EADDRINUSE';
  return new Failure(
    isTaken ? 'port_taken' : 'config_invalid',
    isTaken
      ? `port ${port} (${name}) is taken by another program`
      : `cannot listen on port ${port} (${name}): ${messageOf(cause)}`,
    {
      cause,
      hint: `choose another port, for example ${option} ${port + 10_000 <= 65_535 ? port + 10_000 : port - 10_000}`,
    },
  );
}

/** The error with which the system refuses that port; undefined if it is free. */
async function tryListening(port: number): Promise<unknown> {
  const server = createServer();
  try {
    server.listen(port, loopback);
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return error ?? new Error('no reason given');
  } finally {
    server.close();
  }
}

/** Whether somebody answers there. */
export async function isListening(port: number): Promise<boolean> {
  return isAnswered(connect(port, loopback));
}

/** Whether this connection comes about; it is closed again at once. */
export async function isAnswered(socket: Socket): Promise<boolean> {
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
