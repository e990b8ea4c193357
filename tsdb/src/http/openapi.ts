/**
 * `GET /openapi.json`: OpenAPI 3.1 of every route that this server has, made from the zod schemas by which requests are checked:
 * what is described is what is accepted.
 *
 * A route without a description here is described by its path alone; a test lets none pass.
 */
import type { FastifyInstance } from './http-server.js';
import { z } from 'zod';
import { formatNames, mediaTypes } from './answer-format.js';
import { gapsSchema, noParams } from './completeness-routes.js';
import { deleteSchema, dryRunSchema } from './delete-request.js';
import { latestParams } from './latest-routes.js';
import { querySchema } from './query-request.js';
import { rangeParams } from './range-request.js';
import { seriesSchema, valuesSchema } from './series-routes.js';
import { pageSchema, restoreSchema } from './version-routes.js';

export interface RouteName {
  readonly method: string;
  /** As fastify has it: `/api/v1/tables/:table`. */
  readonly url: string;
}

interface RouteDescription {
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** Tags of the table are parameters too. */
  readonly takesTags?: boolean;
  /** By status, besides problem documents; JSON where nothing else is said. */
  readonly answers?: 'rows' | 'text' | 'accepted';
}

const queryRoute = { summary: 'SQL over the tables', answers: 'rows' } as const;
const latest = {
  summary: 'The newest row of every series, and its age',
  query: latestParams,
  takesTags: true,
} as const;
const range = {
  summary: 'What was measured between two instants',
  query: rangeParams,
  takesTags: true,
  answers: 'rows',
} as const;

export const routeDescriptions: Readonly<Record<string, RouteDescription>> = {
  'GET /': { summary: 'What this server is' },
  'GET /openapi.json': { summary: 'This document' },
  'GET /healthz': { summary: 'Whether it runs' },
  'GET /readyz': { summary: 'Whether it can answer: the store is reached' },
  'GET /metrics': { summary: 'Numbers for Prometheus', answers: 'text' },
  'GET /status': { summary: 'How it fares, for people' },
  'GET /api/v1/query': { ...queryRoute, query: querySchema },
  'POST /api/v1/query': { ...queryRoute, body: querySchema },
  'GET /api/v1/queries': { summary: 'Queries that run, and that ran last' },
  'DELETE /api/v1/queries/:id': { summary: 'Ends a query', answers: 'accepted' },
  'GET /api/v1/tables': { summary: 'All tables' },
  'GET /api/v1/tables/:table': { summary: 'Columns, rows, bytes, first and last time, version of a table' },
  'GET /api/v1/tables/:table/latest': latest,
  'GET /api/v1/latest': latest,
  'GET /api/v1/tables/:table/range': range,
  'GET /api/v1/range': range,
  'GET /api/v1/tables/:table/series': { summary: 'Its series', query: seriesSchema },
  'GET /api/v1/tables/:table/values/:column': { summary: 'Values of a tag or a field', query: valuesSchema },
  'GET /api/v1/tables/:table/completeness': {
    summary: 'Until when it has everything, agent by agent',
    query: noParams,
  },
  'GET /api/v1/tables/:table/gaps': {
    summary: 'Holes in its series, and whose doing they are',
    query: gapsSchema,
    takesTags: true,
  },
  'GET /api/v1/tables/:table/conflicts': { summary: 'Values that did not fit their columns' },
  'GET /api/v1/tables/:table/versions': { summary: 'What it was', query: pageSchema },
  'POST /api/v1/tables/:table/restore': { summary: 'Makes it that again', body: restoreSchema },
  'POST /api/v1/tables/:table/delete': {
    summary: 'Deletes rows, in the background',
    body: deleteSchema,
    answers: 'accepted',
  },
  'GET /api/v1/jobs': { summary: 'What runs in the background, or has run' },
  'GET /api/v1/jobs/:id': { summary: 'One of them' },
  'POST /api/v1/retain': { summary: 'Days older than retain go now', body: dryRunSchema },
  'GET /api/v1/agents': { summary: 'What each agent last said of itself' },
};

/** Call it before any route is added. */
export function addOpenApiRoute(server: FastifyInstance, version: string): void {
  const routes: RouteName[] = [
    { method: 'GET', url: '/healthz' },
    { method: 'GET', url: '/metrics' },
  ];
  server.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) if (one !== 'HEAD') routes.push({ method: one, url });
  });
  let document: object | undefined;
  // Made once it is asked for: all routes are there then.
  server.get('/openapi.json', () => (document ??= openApiDocument(routes, version)));
}

export function openApiDocument(routes: readonly RouteName[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, url } of routes) {
    const path = url.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [method.toLowerCase()]: describeRoute(method, url) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'varve-tsdb', version, description: 'The history of sensors.' },
    paths,
    components: { schemas: { Problem: problem } },
  };
}

const problem = {
  type: 'object',
  description: 'RFC 9457; `code` is stable',
  required: ['type', 'title', 'status', 'code', 'error'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    error: { type: 'string' },
    hint: { type: 'string' },
  },
};

function describeRoute(method: string, url: string): object {
  const { summary = '', query, body, takesTags, answers } = routeDescriptions[`${method} ${url}`] ?? {};
  const inPath = [...url.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    ...{ name, in: 'path', required: true, schema: { type: 'string' } },
  }));
  const inQuery = query ? queryParameters(query, url) : [];
  const tags = {
    ...{ name: 'tags', in: 'query', style: 'form', explode: true },
    description: 'values of tags, by name: device=dev-1,dev-2',
    schema: { type: 'object', additionalProperties: { type: 'string' } },
  };
  return {
    operationId: `${method.toLowerCase()}${url.replaceAll(/[^a-z0-9]+/gi, '_')}`,
    summary,
    parameters: [...inPath, ...inQuery, ...(takesTags ? [tags] : [])],
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body) } } },
    }),
    responses: {
      ...goodAnswer(answers),
      default: {
        description: 'a problem',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  };
}

function queryParameters(query: z.ZodObject, url: string): object[] {
  const { properties = {}, required = [] } = schemaOf(query) as {
    properties?: Record<string, object>;
    required?: string[];
  };
  return Object.entries(properties)
    .filter(([name]) => name !== 'table' || !url.includes(':table'))
    .map(([name, schema]) => ({
      name,
      in: 'query',
      required: required.includes(name) || name === 'table',
      schema,
    }));
}

/** Of what is sent: defaults are not required. */
function schemaOf(schema: z.ZodObject): object {
  const described = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  delete described.$schema;
  return described;
}

function goodAnswer(answers: RouteDescription['answers']): object {
  if (answers === 'text')
    return { 200: { description: 'numbers', content: { 'text/plain': { schema: { type: 'string' } } } } };
  const json = { 'application/json': { schema: { type: 'object' } } };
  if (answers === 'accepted') return { 202: { description: 'it is being done', content: json } };
  if (answers !== 'rows') return { 200: { description: 'the answer', content: json } };
  const types = Object.values(mediaTypes).map((type) => type.split(';')[0] ?? type);
  return {
    200: {
      description: `rows, in the format asked for: ${formatNames.join(', ')}`,
      content: { ...Object.fromEntries(types.map((type) => [type, { schema: {} }])), ...json },
    },
    304: { description: 'the answer has not changed (If-None-Match)' },
  };
}
