/**
 * Tables as views over data files, in the catalog of one slot.
 *
 *     CREATE OR REPLACE VIEW "main"."environment" AS
 *     SELECT "time"::TIMESTAMPTZ AS "time", "device"::VARCHAR AS "device", …, "day"::DATE AS "day"
 *     FROM read_parquet(getvariable('main.environment'), union_by_name = true, hive_partitioning = false)
 *
 *     SET VARIABLE "main.environment" = ['<template>', '<file>', …]
 *
 * The template is an empty Parquet file with all columns of the table. It comes first, so that a column that no file has
 * is there and null, a field that is stored as a decimal is answered as the double it is (DESIGN §5.5), and a table
 * without files has its columns all the same. The plan stays a single scan, which keeps its shortcuts: a union with empty
 * rows instead of the template costs twenty times as much for `count(*)` and twice as much for the newest ten rows.
 *
 * A column and the double beside it are one column of the view (`delta/shown-fields.ts`).
 *
 * In a table of aggregates the SELECT above is of partials, and `mergeSql` makes the view's rows of them.
 *
 * A view is made once per slot and shape of its table; which files it shows is the variable's to say, query by query. The
 * footers of these files are read when the query is prepared, 0.1 ms each, and kept by DuckDB.
 */
import { createHash } from 'node:crypto';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { dayColumnName, timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import { shownFields } from '../delta/shown-fields.js';
import type { Snapshot } from '../delta/snapshot.js';
import { quoteName, quotePath, quoteText, sqlType, timeSqlType } from '../delta/sql-text.js';
import { formatTableName } from '../delta/table-metadata.js';
import { mergeSql } from './merge-partials.js';
import { newestCondition, newestOf, newestTimesSql, type NewestTimes } from './newest-rows.js';
import type { QuerySlot } from './query-database.js';

export interface SqlColumn {
  readonly name: string;
  readonly type: string;
}

/** `time`, tags, fields, `day`: what files have, in the order in which `select *` shows it unless it is merged. */
export function sqlColumns({ tags, fields }: TableColumns): SqlColumn[] {
  return [
    { name: timeColumnName, type: timeSqlType },
    ...tags.map(({ name }) => ({ name, type: sqlType('string') })),
    ...fields.map(({ name, type }) => ({ name, type: sqlType(type) })),
    { name: dayColumnName, type: 'DATE' },
  ];
}

/** @param condition on the rows that are shown */
export function viewSql(snapshot: Snapshot, condition?: string): string {
  const columns = (
    snapshot.aggregate ? sqlColumns(snapshot.columns).map(asStored) : shownColumns(snapshot.columns)
  )
    .map(({ name, sql }) => `${sql} AS ${quoteName(name)}`)
    .join(', ');
  const { database, table } = snapshot.name;
  const files = `getvariable(${quoteText(formatTableName(snapshot.name))})`;
  const rows = `SELECT ${columns} FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false)`;
  const shown = snapshot.aggregate ? mergeSql(snapshot.columns, snapshot.aggregate, rows) : rows;
  const where = condition === undefined ? shown : `SELECT * FROM (${shown}) WHERE ${condition}`;
  return `CREATE OR REPLACE VIEW ${quoteName(database)}.${quoteName(table)} AS ${where}`;
}

interface ViewColumn {
  readonly name: string;
  readonly sql: string;
}

function asStored({ name, type }: SqlColumn): ViewColumn {
  return { name, sql: `${quoteName(name)}::${type}` };
}

/** With a column and the double beside it as one. */
function shownColumns(columns: TableColumns): ViewColumn[] {
  const others = sqlColumns({ ...columns, fields: [] }).map(asStored);
  return [...others.slice(0, -1), ...shownFields(columns), ...others.slice(-1)];
}

/** Sets which files the view shows; the template stands first. */
export function filesSql({ name }: Snapshot, paths: readonly string[]): string {
  return `SET VARIABLE ${quoteName(formatTableName(name))} = [${paths.map(quotePath).join(', ')}]`;
}

export function templateSql(columns: readonly SqlColumn[], path: string): string {
  const nulls = columns.map(({ name, type }) => `NULL::${type} AS ${quoteName(name)}`).join(', ');
  return `COPY (SELECT ${nulls} WHERE false) TO ${quoteText(path)} (FORMAT parquet)`;
}

interface Shape {
  /** Of the view. */
  readonly sql: string;
  /** The table under the name of its newest rows, and the view of them. */
  readonly newest: Snapshot;
  readonly newestSql: string;
  readonly templatePath: string;
  readonly templateSql: string;
}

/** Makes views, and the templates they need in `folder`. */
export class TableViews {
  readonly #folder: string;
  /** By path. Two slots may need one at the same time. */
  readonly #templates = new Map<string, Promise<void>>();
  /** Found once per version of a table. */
  readonly #shapes = new WeakMap<Snapshot, Shape>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<TableViews> {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    return new TableViews(folder);
  }

  /** Forgets templates that somebody has deleted. */
  async forgetMissing(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    for (const [path, template] of this.#templates)
      await template.then(() => stat(path)).catch(() => this.#templates.delete(path));
  }

  /**
   * Lets the slot's view of a table show these files.
   * @returns what must be run before the query, empty where nothing has changed
   */
  async show(
    slot: QuerySlot,
    snapshot: Snapshot,
    filePaths: readonly string[],
    run: (sql: string) => Promise<unknown>,
  ): Promise<string> {
    const { sql, templatePath, templateSql } = this.#shapeOf(snapshot);
    await this.#makeTemplate(templatePath, () => run(templateSql));
    return await this.#show(
      slot,
      snapshot,
      { sql, filesSql: filesSql(snapshot, [templatePath, ...filePaths]) },
      run,
    );
  }

  /** As `show`: the view of its newest rows (`newest-rows.ts`). */
  async showNewest(
    slot: QuerySlot,
    snapshot: Snapshot,
    times: NewestTimes | undefined,
    filePaths: readonly string[],
    run: (sql: string) => Promise<unknown>,
  ): Promise<string> {
    const { newest, newestSql, templatePath, templateSql } = this.#shapeOf(snapshot);
    await this.#makeTemplate(templatePath, () => run(templateSql));
    const paths = [templatePath, ...filePaths];
    const variablesSql = `${filesSql(newest, paths)}; ${newestTimesSql(newest, times)}`;
    return await this.#show(slot, newest, { sql: newestSql, filesSql: variablesSql }, run);
  }

  async #show(
    slot: QuerySlot,
    snapshot: Snapshot,
    next: { readonly sql: string; readonly filesSql: string },
    run: (sql: string) => Promise<unknown>,
  ): Promise<string> {
    const label = formatTableName(snapshot.name);
    const shown = slot.views.get(label);
    slot.views.set(label, next);
    if (shown?.sql === next.sql) return shown.filesSql === next.filesSql ? '' : next.filesSql;
    await run(next.filesSql);
    await run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(snapshot.name.database)}`);
    await run(next.sql);
    return '';
  }

  #shapeOf(snapshot: Snapshot): Shape {
    let shape = this.#shapes.get(snapshot);
    if (!shape) {
      const columns = sqlColumns(snapshot.columns);
      const hash = createHash('sha256').update(JSON.stringify(columns)).digest('hex').slice(0, 32);
      const templatePath = join(this.#folder, `${hash}.parquet`);
      const newest = newestOf(snapshot);
      shape = {
        sql: viewSql(snapshot),
        newest,
        newestSql: viewSql(newest, newestCondition(newest)),
        templatePath,
        templateSql: templateSql(columns, templatePath),
      };
      this.#shapes.set(snapshot, shape);
    }
    return shape;
  }

  async #makeTemplate(path: string, make: () => Promise<unknown>): Promise<void> {
    let template = this.#templates.get(path);
    if (template === undefined) {
      template = make().then(() => undefined);
      this.#templates.set(path, template);
      // A disk that was full is not full for ever.
      template.catch(() => this.#templates.delete(path));
    }
    await template;
  }
}
