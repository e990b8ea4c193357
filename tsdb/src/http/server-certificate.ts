/** The certificate of the HTTP server, renewed while it runs: whoever renews it replaces its files, and tells nobody. */
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { RequestListener } from 'node:http';
import type { Clock } from '@varve/common/clock.js';
import { checkPems, readPem } from '@varve/common/config/pem.js';
import { messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { ServerTls } from '../config.js';

const lookedEveryMs = 60_000;

export class ServerCertificate {
  readonly #tls: ServerTls;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #servers: Server[] = [];
  #current: ServerTls;

  /** @throws an error of the file system */
  constructor(tls: ServerTls, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#tls = tls;
    this.#clock = clock;
    this.#log = log;
    this.#current = this.#read();
  }

  createServer(options: ServerOptions, listener: RequestListener): Server {
    const server = createServer({ ...options, ...this.#current }, listener);
    this.#servers.push(server);
    return server;
  }

  /** Looks for a new one, once a minute. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(lookedEveryMs, signal);
      this.renew();
    }
  }

  /** Takes what the files hold now. One that is broken, or half written, leaves the present one where it is. */
  renew(): void {
    try {
      const found = this.#read();
      if (found.cert === this.#current.cert && found.key === this.#current.key) return;
      const [problem] = checkPems('tls', found);
      if (problem) throw new Error(`${problem.path} ${problem.message}`);
      for (const server of this.#servers) server.setSecureContext(found);
      this.#current = found;
      this.#log.info('the certificate has been renewed');
    } catch (error) {
      this.#log.warn({ reason: messageOf(error) }, 'the new certificate cannot be used; the old one stays');
    }
  }

  #read(): ServerTls {
    return { cert: readPem(this.#tls.cert), key: readPem(this.#tls.key) };
  }
}
