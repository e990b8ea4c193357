/** What the configuration makes of a test's messages: through the agent's own `Router` and `Aggregation`, in memory. */
import { Aggregation } from '../aggregate/aggregation.js';
import type { BatchColumns, NamedColumn } from '../batch/table-batch.js';
import { partColumnName } from '@varve/common/contract/aggregate.js';
import { Router, type StreamRefusal } from '../decode/router.js';
import type { StreamConfig } from '../decode/stream-config.js';
import { liveLane } from '../ship/plan-lanes.js';
import { Window } from '../ship/window.js';
import { payloadOf, type ConfigTest } from './test-file.js';

export type Value = number | bigint | boolean | string;
/** Columns that have a value; `time` is microseconds since 1970 UTC. */
export type ActualRow = ReadonlyMap<string, Value>;
export type Tables = ReadonlyMap<string, readonly ActualRow[]>;

export interface Outcome {
  /** By table, or `database.table` outside of `main`. */
  readonly rows: Tables;
  readonly windows: Tables;
  readonly refusals: readonly (StreamRefusal & { readonly topic: string })[];
}

/** A message that does not say when it came. */
const arrivalDefaultUs = Date.UTC(2026, 0, 1) * 1_000;
/** Every window has ended by then. */
const farFutureMs = 8e12;

export function outcomeOf(streams: readonly StreamConfig[], { messages }: ConfigTest): Outcome {
  const router = new Router(streams);
  const refusals: (StreamRefusal & { topic: string })[] = [];
  const window = new Window(0, 1);
  const watched = {
    route: (...args: Parameters<Router['route']>) => {
      const refused = router.route(...args);
      refusals.push(...refused.map((refusal) => ({ ...refusal, topic: args[0].topic })));
      return refused;
    },
    arrivalStreams: (topic: string) => router.arrivalStreams(topic),
  };
  for (const [index, message] of messages.entries()) {
    const arrivedUs = message.arrived ?? arrivalDefaultUs;
    const arrivedMs = Math.floor(arrivedUs / 1_000);
    const place = { seq: index + 1, source: 'test', packetId: 0, arrivedMs, arrivedUs };
    window.take({ ...place, topic: message.topic, payload: payloadOf(message) }, watched);
  }
  const opened = { closedMs: new Map<string, number>(), openRanges: [] };
  const aggregation = new Aggregation({ streams, opened, openBytesMax: Number.POSITIVE_INFINITY });
  const { outputs } = aggregation.plan(liveLane, window, 'test', farFutureMs);
  const shipped = [...window.batches.values()].filter((open) => !aggregation.isDropped(open));
  return {
    rows: tablesOf(shipped.map((open) => ({ ...open, columns: open.batch.finish() }))),
    windows: tablesOf(outputs, deriveMeans),
    refusals,
  };
}

interface NamedTable {
  readonly database: string;
  readonly table: string;
  readonly columns: BatchColumns;
}

function tablesOf(tables: readonly NamedTable[], change = (row: Map<string, Value>) => row): Tables {
  return new Map(
    tables
      .filter(({ columns }) => columns.rowCount > 0)
      .map(({ database, table, columns }) => [
        database === 'main' ? table : `${database}.${table}`,
        rowsOf(columns).map(change),
      ]),
  );
}

function rowsOf({ rowCount, timeUs, tags, fields }: BatchColumns): Map<string, Value>[] {
  return Array.from({ length: rowCount }, (_, row) => {
    const values = [...tags, ...fields].flatMap((column): [string, Value][] => {
      const value = valueOf(column, row);
      return value === undefined ? [] : [[column.name, value]];
    });
    return new Map<string, Value>([['time', timeUs[row] ?? 0], ...values]);
  });
}

function valueOf({ type, values, validity, texts, longs }: NamedColumn, row: number): Value | undefined {
  if (((validity[row >> 3] ?? 0) & (1 << (row & 7))) === 0) return undefined;
  const value = values[row] ?? 0;
  if (type === 'string') return texts[value];
  if (type === 'boolean') return value !== 0;
  const long = longs?.[row];
  return long !== undefined && !Number.isSafeInteger(Number(long)) ? long : Number(long ?? value);
}

/** As queries show them: without the part, with means. */
function deriveMeans(row: Map<string, Value>): Map<string, Value> {
  row.delete(partColumnName);
  for (const [name, sum] of [...row]) {
    const field = /^(.+)_sum$/.exec(name)?.[1];
    const count = field === undefined ? undefined : row.get(`${field}_count`);
    if (field !== undefined && count !== undefined) row.set(`${field}_mean`, Number(sum) / Number(count));
  }
  return row;
}
