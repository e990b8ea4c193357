/**
 * What a query will do, known before it does it: which tables at which version, which of their files, how much that is, and
 * a name for the answer that stays the same as long as the answer does.
 */
import { createHash } from 'node:crypto';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import type { Wanted } from '../delta/data-files.js';
import type { DataFile, RowsExtent, Snapshot } from '../delta/snapshot.js';
import type { ParamValue, Params } from './bind-params.js';
import { tableLabel } from './find-table.js';
import { mayHoldNewest, type NewestTimes } from './newest-rows.js';
import { planRows } from './plan-files.js';
import { prunableTags, type Statement } from './statements.js';
import type { IsVisible } from './visible-tables.js';

export const defaultRowsMax = 10_000;

export interface QueryRequest {
  readonly sql: string;
  readonly params?: Params;
  /** Where tables are that stand without one. */
  readonly database?: string;
  /** Tables for which it is false are not there. Questions come again where it is the same function. */
  readonly isVisible?: IsVisible | undefined;
  readonly rowsMax?: number;
  /** From now to the last row taken, waiting in line included. */
  readonly timeoutMs?: number;
  /** Each table as it was then, or at that version. */
  readonly asOf?: { readonly version: number } | { readonly timeMs: number };
}

export interface PlannedTable {
  readonly snapshot: Snapshot;
  /** Whether only the newest row of each series is asked for. */
  readonly isNewest: boolean;
  /** Where that can be, if it is known. */
  readonly newest: NewestTimes | undefined;
  /** Those that may hold an answer. */
  readonly files: readonly DataFile[];
  /** Of them; undefined: all. */
  readonly wanted: Wanted | undefined;
}

/** What stays the same as long as question and tables do. */
interface PlannedQuestion {
  readonly tables: readonly PlannedTable[];
  readonly fileCount: number;
  /** Of these files, of which large ones may be read in part. */
  readonly bytes: number;
  /** Undefined where the same question may be answered otherwise the next time: `now()`, `random()`. */
  readonly answerTag: string | undefined;
}

export interface QueryPlan extends PlannedQuestion {
  readonly queryId: string;
  readonly request: QueryRequest;
  readonly statement: Statement;
  /** On the clock that only goes forward. */
  readonly startedMs: number;
}

type NewestOf = (snapshot: Snapshot) => NewestTimes | undefined;

/** Larger plans are not kept: to make them anew is the least of what such queries take. */
const keptPlan = { filesMax: 100, paramsCharactersMax: 1_000 };

/**
 * Plans questions, and knows those that come again before their tables have changed: of each statement the last one. A
 * dashboard's question is planned once per version of its tables.
 */
export class QuestionPlanner {
  readonly #known = new WeakMap<Statement, { readonly asked: string; readonly planned: PlannedQuestion }>();

  plan(statement: Statement, request: QueryRequest, nowMs: number, newestOf: NewestOf): PlannedQuestion {
    const { params = [], rowsMax } = request;
    const asked = `${rowsMax ?? ''} ${JSON.stringify(params)}`;
    const known = this.#known.get(statement);
    if (known?.asked === asked) return known.planned;
    const tables = planTables(statement, params, nowMs, newestOf);
    const files = tables.flatMap((table) => table.files);
    const planned = {
      tables,
      fileCount: files.length,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      answerTag: answerTag(request, statement),
    };
    if (mayKeep(statement, planned) && asked.length <= keptPlan.paramsCharactersMax)
      this.#known.set(statement, { asked, planned });
    return planned;
  }
}

/** Where the time of the question matters, or more of newest rows may be known the next time, it is another plan then. */
function mayKeep({ isRepeatable }: Statement, { tables, fileCount }: PlannedQuestion): boolean {
  const isSettled = tables.every(({ isNewest, newest }) => !isNewest || newest !== undefined);
  return isRepeatable && isSettled && fileCount <= keptPlan.filesMax;
}

function planTables(statement: Statement, params: Params, nowMs: number, newestOf: NewestOf): PlannedTable[] {
  const context = { params, nowUs: nowMs * 1_000 };
  return statement.tables.map(({ snapshot, isNewest, conditions, columns }) => {
    const newest = isNewest ? newestOf(snapshot) : undefined;
    const mayMatter = planRows(conditions, { tags: prunableTags(snapshot.columns), context });
    const mayHold = (rows: RowsExtent) =>
      (!mayMatter || mayMatter(rows)) && (!newest || mayHoldNewest(rows, newest));
    const files = [...snapshot.files.values()].filter(mayHold);
    const wantsAll = !mayMatter && !newest && isMost(columns, snapshot);
    return { snapshot, isNewest, newest, files, wanted: wantsAll ? undefined : { columns, mayHold } };
  });
}

/** A look at the footers of files would only come on top. */
function isMost(columns: ReadonlySet<string> | undefined, { columns: { tags, fields } }: Snapshot): boolean {
  return columns === undefined || columns.size > (tags.length + fields.length + 2) / 2;
}

/** Of question and table versions. How the answer is written comes on top (`http/query-routes.ts`). */
function answerTag(request: QueryRequest, statement: Statement): string | undefined {
  if (!statement.isRepeatable) return undefined;
  const { sql, params = [], database = defaultDatabase, rowsMax } = request;
  const versions = statement.tables.map(({ snapshot }) => [tableLabel(snapshot), snapshot.version]);
  const question = [sql, sortedParams(params), database, rowsMax ?? null, versions];
  return createHash('sha256').update(JSON.stringify(question)).digest('base64url').slice(0, 27);
}

function sortedParams(params: Params): unknown {
  if (Array.isArray(params)) return params;
  return Object.entries(params as Readonly<Record<string, ParamValue>>).sort(([a], [b]) => (a < b ? -1 : 1));
}
