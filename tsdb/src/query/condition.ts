/**
 * What a query demands of the rows of one table, as far as it can be held against the statistics of a file. Pure.
 *
 * `any` stands for everything that is not understood: it may be true or false, whatever the row. A comparison is strict: it
 * is null where the column is null, so that such a row never passes because of it. Both together make pruning safe below
 * outer joins too: where a condition cannot be true for any value of a comparison, it is not true for null either
 * (Kleene's connectives are monotone).
 */
import type { SqlNode } from './sql-tree.js';

export type Operator = '<' | '<=' | '>' | '>=' | '=' | '!=';

/** A function of a time that is at most the time, and less than `widthUs` below it: a day, a bucket. */
export interface Rounding {
  /** Dates are compared with dates, all else with instants. */
  readonly to: 'date' | 'instant';
  readonly widthUs: number;
}

export interface Comparison<Column> {
  readonly kind: 'compare';
  readonly column: Column;
  readonly rounding?: Rounding | undefined;
  readonly operator: Operator;
  /** One value for which it holds is enough; values are expressions without columns. */
  readonly values: readonly SqlNode[];
}

export type Condition<Column = string> =
  | { readonly kind: 'any' }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition<Column>[] }
  | { readonly kind: 'not'; readonly part: Condition<Column> }
  | Comparison<Column>;

export const anyCondition = { kind: 'any' } as const;

export function allOf<Column>(parts: readonly Condition<Column>[]): Condition<Column> {
  const known = parts.filter(({ kind }) => kind !== 'any');
  const [first, ...others] = known;
  if (first === undefined) return anyCondition;
  return others.length === 0 ? first : { kind: 'and', parts: known };
}

/** The same condition about other columns; where `rename` knows no column, anything may be. */
export function renameColumns<From, To>(
  condition: Condition<From>,
  rename: (column: From) => To | undefined,
): Condition<To> {
  switch (condition.kind) {
    case 'any':
      return condition;
    case 'and':
    case 'or':
      return { kind: condition.kind, parts: condition.parts.map((part) => renameColumns(part, rename)) };
    case 'not':
      return { kind: 'not', part: renameColumns(condition.part, rename) };
    case 'compare': {
      const column = rename(condition.column);
      return column === undefined ? anyCondition : { ...condition, column };
    }
  }
}

/** Whether a condition can be true and can be false for some row, as far as is known. */
export interface Outcomes {
  readonly canBeTrue: boolean;
  readonly canBeFalse: boolean;
}

const both: Outcomes = { canBeTrue: true, canBeFalse: true };

/** @param compare the outcomes of one comparison */
export function outcomesOf<Column>(
  condition: Condition<Column>,
  compare: (comparison: Comparison<Column>) => Outcomes,
): Outcomes {
  switch (condition.kind) {
    case 'any':
      return both;
    case 'compare':
      return compare(condition);
    case 'not': {
      const { canBeTrue, canBeFalse } = outcomesOf(condition.part, compare);
      return { canBeTrue: canBeFalse, canBeFalse: canBeTrue };
    }
    case 'and':
    case 'or': {
      const parts = condition.parts.map((part) => outcomesOf(part, compare));
      const isAnd = condition.kind === 'and';
      return {
        canBeTrue: isAnd
          ? parts.every(({ canBeTrue }) => canBeTrue)
          : parts.some(({ canBeTrue }) => canBeTrue),
        canBeFalse: isAnd
          ? parts.some(({ canBeFalse }) => canBeFalse)
          : parts.every(({ canBeFalse }) => canBeFalse),
      };
    }
  }
}
