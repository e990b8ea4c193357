/**
 * Asks the two programs how far the data has come. What cannot be had is undefined: the view says so, and the next second
 * brings another try.
 */
import type { Clock } from '@varve/common/clock.js';
import { loopback } from './ports.js';
import { exampleSql, type DemoFacts, type DemoState } from './view.js';

const answerLimitMs = 2_000;

export async function readState({ edgePort, httpPort }: DemoFacts, clock: Clock): Promise<DemoState> {
  const [metrics, tables] = await Promise.all([
    ask(`http://${loopback}:${edgePort}/metrics`, (response) => response.text()),
    ask(`http://${loopback}:${httpPort}/api/v1/tables`, (response) => response.json()),
  ]);
  const edge = (name: string) => (metrics === undefined ? undefined : sumMetric(metrics, name));
  const { rowCount, newestMs } = summarizeTables(tables as TablesAnswer | undefined);
  return {
    messagesDurable: edge('varve_edge_messages_durable_total'),
    rowsShipped: edge('varve_edge_rows_total'),
    shipments: edge('varve_edge_shipments_total'),
    rowsQueryable: rowCount,
    newestRowAgeMs: newestMs === undefined ? undefined : clock.nowMs() - newestMs,
  };
}

/** Whether the query that the demo prints has rows for an answer by now. */
export async function isExampleAnswered({ httpPort }: DemoFacts): Promise<boolean> {
  const answer = await ask(
    `http://${loopback}:${httpPort}/api/v1/query?sql=${encodeURIComponent(exampleSql)}`,
    (response) => response.json() as Promise<{ rows: unknown[] }>,
  );
  return answer !== undefined && answer.rows.length > 0;
}

/** Whether a program of ours answers that it is well. */
export async function isHealthy(port: number): Promise<boolean> {
  return (await ask(`http://${loopback}:${port}/healthz`, (response) => response.text())) !== undefined;
}

async function ask<T>(url: string, read: (response: Response) => Promise<T>): Promise<T | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerLimitMs) });
    return response.ok ? await read(response) : undefined;
  } catch {
    return undefined;
  }
}

/** The sum over all labels of a metric in Prometheus' text format; 0 where it has no value yet. */
export function sumMetric(text: string, name: string): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** `GET /api/v1/tables`, as far as it is read here. */
export interface TablesAnswer {
  readonly tables: readonly { readonly rows: number; readonly max_time: string | null }[];
}

export function summarizeTables(answer: TablesAnswer | undefined) {
  if (answer === undefined) return { rowCount: undefined, newestMs: undefined };
  const times = answer.tables.flatMap(({ max_time: time }) => (time === null ? [] : [Date.parse(time)]));
  return {
    rowCount: answer.tables.reduce((sum, { rows }) => sum + rows, 0),
    newestMs: times.length === 0 ? undefined : Math.max(...times),
  };
}
