/**
 * From a broker that wants a client's certificate to SQL: all formats, several streams on one topic, tables chosen by the
 * topic, a shared subscription beside a plain one, with real processes.
 */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import mqtt from 'mqtt';
import type { TlsConfig } from '@varve/common/config/pem.js';
import { ConnectionRefused, MqttConnection } from '@varve/edge-agent/source/mqtt-connection.js';

import { startMosquitto } from './brokers.js';
import { TestAuthority } from './certificates.js';
import { Installation } from './installation.js';
import { freePort, waitFor } from './processes.js';
import { skipWithoutMosquitto, skipWithoutOpenssl } from './requirements.js';

const options = { skip: skipWithoutMosquitto() || skipWithoutOpenssl(), timeout: 120_000 };

/** A broker with a plain listener for publishers, and one with TLS that wants a certificate. */
async function startTlsBroker(context: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'varve-tls-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  const authority = new TestAuthority(join(dir, 'certificates'));
  const server = authority.issue('broker');
  const tlsPort = await freePort();
  const more = [
    `listener ${tlsPort} 127.0.0.1`,
    `cafile ${authority.cert}`,
    `certfile ${server.cert}`,
    `keyfile ${server.key}`,
    'require_certificate true',
    'use_identity_as_username true',
  ];
  const broker = await startMosquitto(context, { dir, more });
  return { dir, authority, plainUrl: broker.url, tlsUrl: `mqtts://127.0.0.1:${tlsPort}` };
}

const streams = {
  reading: {
    topic: 'plant/{device}/json',
    format: { type: 'json', rows: 'data' },
    time: { path: 'at', unit: 'ms', snap: '1s' },
    tags: { hall: { path: 'meta.hall' }, line: 3 },
    fields: { temperature: { path: 't', scale: 0.1, round: 1 } },
  },
  raw: { topic: 'plant/{device}/json', format: 'json', keep: ['meta'] },
  level: { topic: 'plant/{device}/level', format: 'value' },
  log: { topic: 'plant/{device}/csv', format: { type: 'csv', delimiter: ';' }, fields: { serial: 'string' } },
  influx: { topic: 'influx/#', format: 'line_protocol', table: 'lp_{measurement}' },
};

const messages: [topic: string, payload: string][] = [
  [
    'plant/a/json',
    '{"meta":{"hall":"B"},"data":[{"at":1795300046309,"t":215},{"at":1795300047000,"t":217.26}]}',
  ],
  ['plant/a/level', '12.5'],
  ['plant/a/csv', 'serial;n\n007;1\n'],
  ['influx/x', 'cpu,host=h n=9223372036854775807i,u=0.5 1795300046309123999\nmem,host=h free=1i'],
  ['plant/a/json', 'nonsense'],
];

const answers: [sql: string, row: unknown[]][] = [
  [
    `select count(*), min(device), min(hall), min(line), list(temperature order by time), epoch_ms(min(time))
     from reading`,
    [2, 'a', 'B', '3', [21.5, 21.7], 1_795_300_046_000],
  ],
  ['select count(*), min(meta_hall) from raw', [1, 'B']],
  ['select value from level', [12.5]],
  ['select serial from log', ['007']],
  [
    'select host, u, n::varchar, epoch_us(time)::varchar from lp_cpu',
    ['h', 0.5, '9223372036854775807', '1795300046309123'],
  ],
  ['select free::varchar from lp_mem', ['1']],
];

test(
  'all formats, over TLS with a client certificate and a shared subscription, to SQL',
  options,
  async (context) => {
    const { authority, plainUrl, tlsUrl } = await startTlsBroker(context);
    const tls = { ca: authority.cert, ...authority.issue('press-hall-3') };
    const sources = {
      plant: { mqtt: tlsUrl, tls, topics: ['$share/gateways/plant/#'] },
      influx: { mqtt: plainUrl, topics: ['influx/#'] },
    };
    const installation = await Installation.create(context, {
      brokerUrl: plainUrl,
      streams,
      edge: { sources },
    });
    installation.startTsdb();
    installation.startAgent();
    await Promise.all([installation.agentReady(), installation.tsdbReady()]);
    await waitFor('both sources to be connected', async () => {
      const status = (await installation.agentStatus()) as {
        sources?: Record<string, { connected: boolean }>;
      };
      return Object.values(status.sources ?? {}).filter(({ connected }) => connected).length === 2;
    });
    const client = await mqtt.connectAsync(plainUrl);
    context.after(() => client.endAsync(true));
    for (const [topic, payload] of messages) await client.publishAsync(topic, payload, { qos: 1 });

    for (const [sql, row] of answers) {
      const rows = await waitFor(`an answer to ${sql}`, async () => {
        const answer = await installation.query(sql);
        const found = answer?.body.rows;
        return answer?.status === 200 && found && found.length > 0 && found;
      });
      assert.deepEqual(rows, [row], sql);
    }
    const losses = await waitFor('the message that is no JSON to be a dead letter', async () => {
      const answer = await installation.query(
        'select kind, sum(count)::integer from varve_losses group by all',
      );
      return answer?.status === 200 && answer.body.rows;
    });
    assert.deepEqual(losses, [['dead_letter', 1]]);
  },
);

test(
  'a broker is not talked to without its authority, nor without our certificate',
  options,
  async (context) => {
    const { dir, authority, tlsUrl } = await startTlsBroker(context);
    const stranger = new TestAuthority(join(dir, 'stranger'));
    const { cert, key } = authority.issue('agent');
    const open = async (tls: TlsConfig) => {
      const connection = await MqttConnection.open({
        source: {
          ...{ name: 'plant', url: tlsUrl, brokerName: 'broker', topics: ['plant/#'], clientId: 'c', tls },
          ...{ username: undefined, password: undefined },
          ...{ keepaliveSeconds: 60, sessionExpirySeconds: 60, receiveMaximum: 10 },
        },
        ...{ protocolVersion: 5, connectTimeoutMs: 5_000 },
        onNewSession: () => undefined,
        onSession: () => Promise.resolve([]),
        signal: new AbortController().signal,
        onArrival: () => undefined,
      });
      await connection.end();
    };
    await open({ ca: authority.cert, cert, key });
    await assert.rejects(open({ ca: stranger.cert, cert, key }), ConnectionRefused, 'a stranger');
    await assert.rejects(open({ ca: undefined, cert, key }), ConnectionRefused, 'an unknown authority');
    await assert.rejects(open({ ca: authority.cert, cert: undefined, key: undefined }), ConnectionRefused);
    const other = stranger.issue('agent');
    await assert.rejects(
      open({ ca: authority.cert, ...other }),
      ConnectionRefused,
      'a certificate of another',
    );
    const gone = join(dir, 'gone.pem');
    await assert.rejects(open({ ca: gone, cert, key }), /a certificate cannot be read: .*gone\.pem/);
  },
);
