/** For tests: the HTTP server over a lake in a folder, with a clock that stands. */
import { systemClock, type Clock } from '@varve/common/clock.js';
import { formatListenAddress, type ListenAddress } from '@varve/common/config/listen-address.js';
import { listen, type FastifyInstance } from './http-server.js';
import { silentLogger } from '@varve/common/log.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { QueryFixture } from '../query/query.test.fixture.js';
import { createTsdbServer, type TsdbServerOptions } from './tsdb-server.js';

export const nowMs = Date.parse('2026-01-01T12:00:00Z');

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Record<string, unknown> & {
    readonly rows?: unknown[][];
    readonly columns?: { name: string }[];
  };
}

export class SensorServer {
  readonly store = new MemoryStore();
  readonly fixture: QueryFixture;
  readonly server: FastifyInstance;
  readonly #address: ListenAddress;

  private constructor(fixture: QueryFixture, server: FastifyInstance, address: ListenAddress) {
    this.fixture = fixture;
    this.server = server;
    this.#address = address;
  }

  static async open(fixture: QueryFixture, more: Partial<TsdbServerOptions> = {}): Promise<SensorServer> {
    const clock: Clock = { ...systemClock, nowMs: () => nowMs };
    const server = createTsdbServer({
      version: '1.2.3',
      startedMs: nowMs,
      clock,
      store: new MemoryStore(),
      catalog: fixture,
      engine: await fixture.startEngine(),
      parts: {},
      log: silentLogger(),
      registry: fixture.registry,
      ...more,
    });
    return new SensorServer(fixture, server, await listen(server, { host: '127.0.0.1', port: 0 }, 'listen'));
  }

  async get(path: string, init?: RequestInit): Promise<Reply> {
    const response = await fetch(`http://${formatListenAddress(this.#address)}${path}`, init);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    const body = (isJson ? JSON.parse(text) : {}) as Reply['body'];
    return { status: response.status, headers: response.headers, text, body };
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.fixture.close();
  }
}
