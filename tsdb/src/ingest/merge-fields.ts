/**
 * Last write wins, field by field (DESIGN I7), as SQL; a null does not erase. Pure.
 *
 * A column and the double beside it are one field (`delta/shown-fields.ts`): a value in one takes away an older one in the
 * other.
 */
import type { Field } from '@varve/common/contract/columns.js';
import { pairFields } from '../delta/shown-fields.js';
import { quoteName } from '../delta/sql-text.js';

/** Over a group of rows with one (tags, time): each field's value at the highest `order` that has one. */
export function lastWriteSql(fields: readonly Field[], order: string): string[] {
  return pairFields(fields).flatMap(({ column, beside }) => {
    const [name, other] = [quoteName(column.name), beside && quoteName(beside.name)];
    if (other === undefined) return [`arg_max(${name}, ${order}) AS ${name}`];
    return [lastOf(name, other, order), lastOf(other, name, order)];
  });
}

function lastOf(name: string, other: string, order: string): string {
  const newest = (column: string) => `coalesce(max(${order}) FILTER (${column} IS NOT NULL), -1)`;
  return `CASE WHEN ${newest(name)} >= ${newest(other)} THEN arg_max(${name}, ${order}) END AS ${name}`;
}

/** Of two rows with one (tags, time): `incoming`'s values over `existing`'s. */
export function overwriteSql(fields: readonly Field[]): string[] {
  return pairFields(fields).flatMap(({ column, beside }) => {
    const name = quoteName(column.name);
    if (!beside) return [`coalesce(incoming.${name}, existing.${name}) AS ${name}`];
    const other = quoteName(beside.name);
    return [overwrite(name, other), overwrite(other, name)];
  });
}

function overwrite(name: string, other: string): string {
  return `CASE WHEN incoming.${other} IS NULL THEN coalesce(incoming.${name}, existing.${name}) ELSE incoming.${name} END AS ${name}`;
}
