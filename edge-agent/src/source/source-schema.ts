/**
 * `sources:` of `edge.yaml`: how a broker is reached.
 */
import { z } from 'zod';
import { checkPems, isPem } from '@varve/common/config/pem.js';
import { pem } from '@varve/common/config/pem-schema.js';
import { resolveBeside, type ConfigProblem } from '@varve/common/config/read-config.js';
import { durationMs } from '@varve/common/config/units.js';
import { keyPartPattern } from '@varve/common/contract/names.js';
import type { SourceConfig } from './source-config.js';
import { isTopicFilter } from './topic-filter.js';

const mqttUrl = z
  .url({
    protocol: /^(mqtts?|wss?)$/,
    error: 'write a broker URL such as mqtt://127.0.0.1:1883, or mqtts://, ws://, wss://',
  })
  .transform((text) => new URL(text));

const tlsSchema = z
  .strictObject(
    { ca: pem.optional(), cert: pem.optional(), key: pem.optional() },
    { error: 'write { ca: ca.pem, cert: agent.pem, key: agent.key }, or those of them that are needed' },
  )
  .superRefine(({ cert, key }, context) => {
    if ((cert === undefined) === (key === undefined)) return;
    const message = 'cert and key go together: write both, or neither';
    context.addIssue({ code: 'custom', path: [cert === undefined ? 'cert' : 'key'], message });
  });

const sourceSchema = z
  .strictObject({
    mqtt: mqttUrl,
    topics: z
      .array(
        z.string().refine(isTopicFilter, {
          error:
            'is not an MQTT topic filter: + stands for one whole level, # only for the last; shared ones are $share/group/filter',
        }),
        { error: 'list the topics to subscribe to, such as ["plant/#"]' },
      )
      .min(1, 'list at least one topic, such as ["plant/#"]')
      .max(100, 'list at most 100 topics'),
    client_id: z.string().min(1).max(64).optional(),
    username: z.string().optional(),
    password: z.string().optional(),
    tls: tlsSchema.optional(),
    keepalive: durationMs({ minMs: 1_000, maxMs: 65_535_000 }).default(60_000),
    session_expiry: durationMs({ minMs: 1_000, maxMs: 4_294_967_000_000 }).default(14 * 86_400_000),
    receive_maximum: z.int().min(1).max(65_535).default(1_000),
  })
  .superRefine(({ mqtt, tls }, context) => {
    if (!tls || /^(mqtts|wss):$/.test(mqtt.protocol)) return;
    const message = `is for mqtts:// and wss://, and the broker is ${mqtt.protocol}//: change one of them`;
    context.addIssue({ code: 'custom', path: ['tls'], message });
  });

export const sourcesSchema = z
  .record(z.string().regex(keyPartPattern, 'use a-z, 0-9, - and _ in the name of a source'), sourceSchema, {
    error: ({ code }) =>
      code === 'invalid_key'
        ? undefined
        : 'name at least one source, such as plant: { mqtt: mqtt://127.0.0.1:1883, topics: ["plant/#"] }',
  })
  .refine((sources) => Object.keys(sources).length > 0, 'name at least one source');

type RawSources = z.infer<typeof sourcesSchema>;

export function shapeSources(agent: string, configPath: string, sources: RawSources): SourceConfig[] {
  return Object.entries(sources).map(([name, source]) => shapeSource(agent, configPath, name, source));
}

function shapeSource(agent: string, configPath: string, name: string, raw: RawSources[string]): SourceConfig {
  const url = new URL(raw.mqtt);
  const brokerName = `${url.protocol}//${url.host}`;
  const username = raw.username ?? (decodeURIComponent(url.username) || undefined);
  const password = raw.password ?? (decodeURIComponent(url.password) || undefined);
  url.username = '';
  url.password = '';
  const place = (text: string | undefined) =>
    text === undefined || isPem(text) ? text : resolveBeside(configPath, text);
  return {
    name,
    url: url.href,
    brokerName,
    topics: raw.topics,
    clientId: raw.client_id ?? `varve-${agent}-${name}`,
    username,
    password,
    keepaliveSeconds: Math.round(raw.keepalive / 1_000),
    sessionExpirySeconds: Math.round(raw.session_expiry / 1_000),
    receiveMaximum: raw.receive_maximum,
    tls: raw.tls && { ca: place(raw.tls.ca), cert: place(raw.tls.cert), key: place(raw.tls.key) },
  };
}

/** What is wrong between sources, and with their certificates. */
export function checkSources(agent: string, configPath: string, sources: RawSources): ConfigProblem[] {
  const shaped = shapeSources(agent, configPath, sources);
  const certificates = shaped.flatMap(({ name, tls }) => checkPems(`sources.${name}.tls`, tls ?? {}));
  return [...checkClientIds(sources), ...certificates];
}

function checkClientIds(sources: RawSources): ConfigProblem[] {
  const clientIds = Object.entries(sources).map(([name, source]) => ({
    name,
    session: `${source.mqtt.host} ${source.client_id ?? name}`,
  }));
  return clientIds
    .filter(({ session }, index) => clientIds.findIndex((other) => other.session === session) < index)
    .map(({ name }) => ({
      line: undefined,
      path: `sources.${name}.client_id`,
      message: 'is used by another source on this broker, and each would throw the other out: write another',
    }));
}
