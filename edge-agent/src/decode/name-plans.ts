/**
 * What a stream does with a name that a payload carries: the time, a tag, fields, or nothing. Found out once per name; names
 * are remembered up to a bound, since senders may make them up.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import type { FieldColumn } from './mapped-rows.js';
import {
  columnNameOf,
  fieldRulesOf,
  tagRulesOf,
  type FieldRule,
  type StreamConfig,
} from './stream-config.js';

export interface NamePlan {
  readonly isTime: boolean;
  /** Which of the stream's tags. */
  readonly tagIndexes: readonly number[];
  readonly fields: readonly FieldPlan[];
}

export interface FieldPlan {
  readonly column: StampedColumn;
  readonly declared: FieldType | undefined;
  readonly scaling: Scaling | undefined;
}

export interface Scaling {
  readonly scale: number;
  readonly offset: number;
  /** 10 to the power of the decimals; 0: not rounded. */
  readonly roundFactor: number;
}

/** Knows who set it last, so that two names that are one column are noticed. */
export interface StampedColumn extends FieldColumn {
  stamp: number;
  setBy: string;
}

/** A tag that the format says; undefined where it is dropped, or a tag of the stream has its name. */
export interface StampedTag {
  readonly name: string;
  stamp: number;
  setBy: string;
}

const rememberedMax = 10_000;
const ignored: NamePlan = { isTime: false, tagIndexes: [], fields: [] };

export class NamePlans {
  readonly #stream: StreamConfig;
  readonly #timePath: string | undefined;
  readonly #tagNames: readonly string[];
  readonly #tagPaths: readonly (string | undefined)[];
  readonly #rules: ReadonlyMap<string, FieldRule & { readonly path: string }>;
  readonly #takesOthers: boolean;
  readonly #plans = new Map<string, NamePlan>();
  readonly #columns = new Map<string, StampedColumn>();
  readonly #tags = new Map<string, StampedTag | null>();
  readonly #tagsByColumn = new Map<string, StampedTag>();

  constructor(stream: StreamConfig) {
    this.#stream = stream;
    const tags = [...tagRulesOf(stream)];
    this.#tagNames = tags.map(([name]) => name);
    this.#tagPaths = tags.map(([, rule]) => ('path' in rule ? rule.path : undefined));
    this.#rules = fieldRulesOf(stream);
    this.#timePath = typeof stream.time === 'object' ? stream.time.path : undefined;
    this.#takesOthers = stream.otherFields
      ? stream.otherFields === 'take'
      : stream.fields === undefined && stream.keep === undefined;
  }

  /** To be called between messages: what was planned before is not to be used after it. */
  forgetSome(): void {
    if (this.#plans.size > rememberedMax || this.#columns.size > rememberedMax) {
      this.#plans.clear();
      this.#columns.clear();
    }
    if (this.#tags.size > rememberedMax) {
      this.#tags.clear();
      this.#tagsByColumn.clear();
    }
  }

  planOf(name: string): NamePlan {
    const known = this.#plans.get(name);
    if (known) return known;
    const plan = this.#plan(name);
    if (plan !== ignored || this.#plans.size < rememberedMax) this.#plans.set(name, plan);
    return plan;
  }

  /** Of a tag that the format says; null where it is none. */
  tagOf(name: string): StampedTag | null {
    const known = this.#tags.get(name);
    if (known !== undefined) return known;
    const tag = this.#planTag(name);
    this.#tags.set(name, tag);
    return tag;
  }

  #plan(path: string): NamePlan {
    const isTime = path === this.#timePath;
    const tagIndexes = this.#tagPaths.flatMap((tagPath, index) => (tagPath === path ? [index] : []));
    const asked = [...this.#rules].filter(([, rule]) => rule.path === path);
    if (asked.length > 0) {
      const fields = asked.map(([column, rule]) => this.#planField(column, path, rule));
      return { isTime, tagIndexes, fields };
    }
    if (isTime || tagIndexes.length > 0) return { isTime, tagIndexes, fields: [] };
    const { drop = [], keep = [] } = this.#stream;
    const isTaken = !covers(drop, path) && (covers(keep, path) || this.#takesOthers);
    const column = columnNameOf(path);
    if (!isTaken || this.#tagNames.includes(column)) return ignored;
    return { isTime, tagIndexes, fields: [this.#planField(column, path, {})] };
  }

  #planField(columnName: string, path: string, rule: FieldRule): FieldPlan {
    return { column: this.#columnOf(columnName, path), declared: rule.type, scaling: planScaling(rule) };
  }

  #columnOf(name: string, originalName: string): StampedColumn {
    let column = this.#columns.get(name);
    if (!column) {
      column = { name, originalName, stamp: 0, setBy: '' };
      this.#columns.set(name, column);
    }
    return column;
  }

  #planTag(original: string): StampedTag | null {
    const name = columnNameOf(original);
    if (covers(this.#stream.drop ?? [], original) || this.#tagNames.includes(name)) return null;
    let tag = this.#tagsByColumn.get(name);
    if (!tag) {
      tag = { name, stamp: 0, setBy: '' };
      this.#tagsByColumn.set(name, tag);
    }
    return tag;
  }
}

/** Whether `path` or something above it is listed. */
function covers(listed: readonly string[], path: string): boolean {
  return listed.some((one) => path === one || path.startsWith(`${one}.`));
}

function planScaling({ scale, offset, round }: FieldRule): Scaling | undefined {
  if (scale === undefined && offset === undefined && round === undefined) return undefined;
  return { scale: scale ?? 1, offset: offset ?? 0, roundFactor: round === undefined ? 0 : 10 ** round };
}

/** `value` scaled, moved and rounded, halves up. What is too large to have such decimals stays. */
export function scaleNumber(value: number, { scale, offset, roundFactor }: Scaling): number {
  const scaled = value * scale + offset;
  if (roundFactor === 0) return scaled;
  const counted = scaled * roundFactor;
  // Zero without a sign: -0 and 0 would be two values in a file.
  return Number.isSafeInteger(Math.round(counted)) ? Math.round(counted) / roundFactor + 0 : scaled;
}
