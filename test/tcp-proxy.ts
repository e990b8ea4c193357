/** A TCP proxy whose connections a test can cut, as a network does: without a word to either side. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Owner } from './processes.js';

export interface TcpProxy {
  readonly port: number;
  /** Connections made so far. */
  connectionCount(): number;
  /** Cuts every connection there is; new ones are accepted, unless the network is down. */
  cut(): void;
  /** Cuts, and accepts no new ones until told. */
  setDown(isDown: boolean): void;
}

/** `port` 0: a free one. */
export async function startTcpProxy(owner: Owner, targetPort: number, listenPort = 0): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let connectionCount = 0;
  let isDown = false;
  const server = createServer((client) => {
    if (isDown) {
      client.destroy();
      return;
    }
    connectionCount++;
    const target = connect(targetPort, '127.0.0.1');
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(listenPort, '127.0.0.1');
  await once(server, 'listening');
  owner.after(async () => {
    cut();
    server.close();
    await once(server, 'close');
  });
  const { port } = server.address() as { port: number };
  const setDown = (down: boolean) => {
    isDown = down;
    if (down) cut();
  };
  return { port, connectionCount: () => connectionCount, cut, setDown };
}
