/**
 * What a delete is to do, and how that stands in the store (`ops/jobs/<id>.json`) until it is done.
 *
 *     {"kind":"delete","database":"main","table":"environment","where":"device = 'a'","start_us":0,"end_us":1,"created_ms":2}
 *
 * `where`, `start_us` and `end_us` may be absent. What stands there was checked by the program that put it, and whoever may
 * write below `ops/` may write to the tables as well.
 */
import { identifierPattern } from '@varve/common/contract/names.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { z } from 'zod';
import type { TimeRange } from './plan-delete.js';

export interface DeleteTask {
  readonly name: TableName;
  /** An expression over the table's columns. */
  readonly where: string | undefined;
  readonly range: TimeRange;
  readonly isDryRun: boolean;
}

const identifier = z.string().regex(identifierPattern);
const schema = z.object({
  kind: z.literal('delete'),
  database: identifier,
  table: identifier,
  where: z.string().optional(),
  start_us: z.number().optional(),
  end_us: z.number().optional(),
});

export function formatDeleteTask({ name, where, range }: DeleteTask, nowMs: number): Uint8Array {
  const { startUs, endUs } = range;
  const limits = {
    ...(Number.isFinite(startUs) && { start_us: startUs }),
    ...(Number.isFinite(endUs) && { end_us: endUs }),
  };
  return Buffer.from(JSON.stringify({ kind: 'delete', ...name, where, ...limits, created_ms: nowMs }));
}

/** Undefined for anything else. */
export function parseDeleteTask(text: string): DeleteTask | undefined {
  const json = parseJson(text);
  const { success, data } = schema.safeParse(json);
  if (!success || (data.where ?? data.start_us ?? data.end_us) === undefined) return undefined;
  return {
    name: { database: data.database, table: data.table },
    where: data.where,
    range: { startUs: data.start_us ?? -Infinity, endUs: data.end_us ?? Infinity },
    isDryRun: false,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
