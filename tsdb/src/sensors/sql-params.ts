/**
 * Values of a statement that is put together here: each becomes `$1`, `$2`, …, so that nothing a client sends is ever part of
 * its text.
 */
import type { ParamValue } from '../query/bind-params.js';
import { quoteName } from '../delta/sql-text.js';

export class SqlParams {
  readonly #values: ParamValue[] = [];

  get values(): readonly ParamValue[] {
    return this.#values;
  }

  /** @returns what stands for it in the text */
  add(value: ParamValue): string {
    this.#values.push(value);
    return `$${this.#values.length}`;
  }
}

/** One condition per tag. @param tagValues of tags that the table has */
export function tagConditions(
  tagValues: ReadonlyMap<string, readonly string[]>,
  params: SqlParams,
): string[] {
  return [...tagValues].map(
    ([tag, values]) => `${quoteName(tag)} IN (${values.map((value) => params.add(value)).join(', ')})`,
  );
}
