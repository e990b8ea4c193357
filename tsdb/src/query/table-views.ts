/**
 * Tables as views over data files, in the catalog of one slot.
 *
 *     CREATE OR REPLACE VIEW "main"."environment" AS
 *     SELECT "time"::TIMESTAMPTZ AS "time", "device"::VARCHAR AS "device", …, "day"::DATE AS "day"
 *     FROM read_parquet(getvariable('main.environment'), union_by_name = getvariable('main.environment differ'),
 *                       hive_partitioning = false)
 *
 *     SET VARIABLE "main.environment" = ['<template>', '<file>', …]; SET VARIABLE "main.environment differ" = true
 *
 * The template is an empty Parquet file with all columns of the table. It comes first, so that a column that no file has
 * is there and null, a field that is stored as a decimal is answered as the double it is (DESIGN §5.5), and a table
 * without files has its columns all the same. The plan stays a single scan, which keeps its shortcuts: a union with empty
 * rows instead of the template costs twenty times as much for `count(*)` and twice as much for the newest ten rows. Where one of
 * the files is as good as the template, it is left out, and where all are, they do not differ (`whole-files.ts`).
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
import { WholeFiles, type RunSql } from './whole-files.js';

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
  const variable = (name: string) => `getvariable(${quoteText(name)})`;
  const files = variable(formatTableName(snapshot.name));
  const rows = `SELECT ${columns} FROM read_parquet(${files}, union_by_name = ${variable(differName(snapshot))}, hive_partitioning = false)`;
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

const differName = ({ name }: Snapshot) => `${formatTableName(name)} differ`;

export interface ShownFiles {
  /** With the template in front where it is needed. */
  readonly paths: readonly string[];
  /** Whether one may have other columns than another, or other types. */
  readonly differ: boolean;
}

/** Sets which files the view shows. */
export function filesSql(snapshot: Snapshot, { paths, differ }: ShownFiles): string {
  const files = `SET VARIABLE ${quoteName(formatTableName(snapshot.name))} = [${paths.map(quotePath).join(', ')}]`;
  return `${files}; SET VARIABLE ${quoteName(differName(snapshot))} = ${differ}`;
}

export function templateSql(columns: readonly SqlColumn[], path: string): string {
  const nulls = columns.map(({ name, type }) => `NULL::${type} AS ${quoteName(name)}`).join(', ');
  return `COPY (SELECT ${nulls} WHERE false) TO ${quoteText(path)} (FORMAT parquet)`;
}

/** A table, or the newest row of each of its series with what is known of where these are. */
export interface ShownTable {
  readonly snapshot: Snapshot;
  readonly isNewest: boolean;
  readonly newest: NewestTimes | undefined;
}

/** What a view was made of: where these are the very same, it is the same. Numbers: a slot must not hold on to a table as it was. */
interface ShownFrom {
  readonly snapshot: number;
  readonly paths: number;
  readonly times: number;
  readonly templates: number;
}

const numbers = new WeakMap<object, number>();
let lastNumber = 0;

/** Of the very object, once and for all. */
function numberOf(object: object | undefined): number {
  if (object === undefined) return 0;
  const number = numbers.get(object) ?? (lastNumber += 1);
  numbers.set(object, number);
  return number;
}

function isSame(left: ShownFrom, right: ShownFrom): boolean {
  return (
    left.snapshot === right.snapshot &&
    left.paths === right.paths &&
    left.times === right.times &&
    left.templates === right.templates
  );
}

/** A view of a slot's catalog, and what sets its files. */
export interface ShownView {
  readonly from: ShownFrom;
  readonly sql: string;
  readonly filesSql: string;
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
  readonly #whole = new WholeFiles();
  /** How often templates may have been forgotten. */
  #generation = 0;
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
    this.#generation += 1;
    await mkdir(this.#folder, { recursive: true });
    for (const [path, template] of this.#templates)
      await template.then(() => stat(path)).catch(() => this.#templates.delete(path));
  }

  /**
   * Lets the slot's view of a table, or that of its newest rows, show these files.
   * @param paths of the files
   * @returns what must be run before the query, empty where nothing has changed
   */
  async show(
    slot: QuerySlot,
    { snapshot, isNewest, newest: times }: ShownTable,
    paths: ReadonlyMap<string, string>,
    run: RunSql,
  ): Promise<string> {
    const shape = this.#shapeOf(snapshot);
    const { name } = isNewest ? shape.newest : snapshot;
    const label = formatTableName(name);
    const shown = slot.views.get(label);
    const from: ShownFrom = {
      snapshot: numberOf(snapshot),
      paths: numberOf(paths),
      times: numberOf(times),
      templates: this.#generation,
    };
    if (shown && isSame(shown.from, from)) return '';
    const read = await this.#shownFiles([...paths.values()], shape, run);
    const setFiles = filesSql(isNewest ? shape.newest : snapshot, read);
    const next = isNewest
      ? { from, sql: shape.newestSql, filesSql: `${setFiles}; ${newestTimesSql(shape.newest, times)}` }
      : { from, sql: shape.sql, filesSql: setFiles };
    slot.views.set(label, next);
    if (shown?.sql === next.sql) return shown.filesSql === next.filesSql ? '' : next.filesSql;
    await run(next.filesSql);
    await run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(name.database)}`);
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

  async #shownFiles(
    paths: readonly string[],
    { templatePath, templateSql }: Shape,
    run: RunSql,
  ): Promise<ShownFiles> {
    await this.#makeTemplate(templatePath, () => run(templateSql));
    const { isOne, areAll } = await this.#whole.look(paths, templatePath, run);
    return { paths: isOne ? paths : [templatePath, ...paths], differ: !areAll };
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
