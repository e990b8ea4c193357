/**
 * What the demo shows while it runs, as text; pure.
 *
 * The heading is written once and never again, so that its command can be copied whole from a terminal of any width; only
 * the numbers are written over.
 */

export interface DemoFacts {
  readonly httpPort: number;
  readonly edgePort: number;
  readonly mqttPort: number;
  readonly dataDir: string;
  readonly hasSimulator: boolean;
}

/** Undefined: not known yet. */
export interface DemoState {
  /** Since the agent started. */
  readonly messagesDurable: number | undefined;
  readonly rowsShipped: number | undefined;
  readonly shipments: number | undefined;
  /** In the tables, those of earlier runs included. */
  readonly rowsQueryable: number | undefined;
  readonly newestRowAgeMs: number | undefined;
}

export const exampleSql =
  'select time, site, device, temperature from environment order by time desc limit 3';

/** Works as it is printed, in sh, bash and zsh. */
export function exampleCommand({ httpPort }: Pick<DemoFacts, 'httpPort'>): string {
  const body = JSON.stringify({ sql: exampleSql });
  return `curl -s http://127.0.0.1:${httpPort}/api/v1/query -H 'content-type: application/json' -d '${body}'`;
}

export function demoHeading(facts: DemoFacts): string {
  const { httpPort, edgePort, mqttPort, dataDir, hasSimulator } = facts;
  return [
    '',
    hasSimulator
      ? 'Varve: a simulated plant of twenty devices sends a hundred messages a second. Ask for the newest:'
      : 'Varve: waits for JSON on plant/<site>/<device>/environment, …/vibration and …/energy. Ask for the newest:',
    '',
    exampleCommand(facts),
    '',
    `  tables  http://127.0.0.1:${httpPort}/api/v1/tables`,
    `  agent   http://127.0.0.1:${edgePort}/status`,
    `  broker  mqtt://127.0.0.1:${mqttPort}`,
    `  data    ${dataDir}`,
    '',
    'Ctrl-C stops it; the data stays.',
    '',
    '',
  ].join('\n');
}

/** The block on a terminal, written over every second. */
export function demoView({
  messagesDurable,
  rowsShipped,
  shipments,
  rowsQueryable,
  newestRowAgeMs,
}: DemoState) {
  return [
    `  messages in     ${column(count(messagesDurable))}  since the start, on the agent's disk`,
    `  rows shipped    ${column(count(rowsShipped))}  in ${count(shipments)} Parquet files`,
    `  rows queryable  ${column(count(rowsQueryable))}  in Delta tables, with those of earlier starts`,
    `  freshness       ${column(age(newestRowAgeMs))}  age of the newest row that a query sees`,
  ].join('\n');
}

/** The same where there is no terminal. */
export function demoLine({
  messagesDurable,
  rowsShipped,
  shipments,
  rowsQueryable,
  newestRowAgeMs,
}: DemoState) {
  return (
    `messages in ${count(messagesDurable)}, rows shipped ${count(rowsShipped)} in ${count(shipments)} files, ` +
    `rows queryable ${count(rowsQueryable)}, freshness ${age(newestRowAgeMs)}`
  );
}

function column(text: string): string {
  return text.padStart(11);
}

function count(value: number | undefined): string {
  return value === undefined ? '–' : value.toLocaleString('en-US');
}

function age(ms: number | undefined): string {
  return ms === undefined ? '–' : `${(Math.max(0, ms) / 1_000).toFixed(1)} s`;
}
