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
  readonly column: FieldColumn;
  /** One for all names that make this column. */
  readonly lastSet: Stamped;
  readonly declared: FieldType | undefined;
  readonly scaling: Scaling | undefined;
}

export interface Scaling {
  readonly scale: number;
  readonly offset: number;
  /** 10 to the power of the decimals; 0: not rounded. */
  readonly roundFactor: number;
}

/** Who set a column or tag last, so that two names that are one are noticed. */
export interface Stamped {
  stamp: number;
  setBy: string;
}

/** A tag that the format says. */
export interface TagPlan {
  readonly name: string;
  readonly lastSet: Stamped;
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
  readonly #columns = new Map<string, Stamped>();
  readonly #tags = new Map<string, TagPlan | null>();
  readonly #tagColumns = new Map<string, Stamped>();

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
      this.#tagColumns.clear();
    }
  }

  planOf(name: string): NamePlan {
    const known = this.#plans.get(name);
    if (known) return known;
    const plan = this.#plan(name);
    if (plan !== ignored || this.#plans.size < rememberedMax) this.#plans.set(name, plan);
    return plan;
  }

  /** Of a tag that the format says; null where it is dropped, or a tag of the stream has its name. */
  tagOf(name: string): TagPlan | null {
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

  #planField(name: string, originalName: string, rule: FieldRule): FieldPlan {
    return {
      column: { name, originalName },
      lastSet: stampOf(this.#columns, name),
      declared: rule.type,
      scaling: planScaling(rule),
    };
  }

  #planTag(original: string): TagPlan | null {
    const name = columnNameOf(original);
    if (covers(this.#stream.drop ?? [], original) || this.#tagNames.includes(name)) return null;
    return { name, lastSet: stampOf(this.#tagColumns, name) };
  }
}

function stampOf(stamps: Map<string, Stamped>, name: string): Stamped {
  let stamped = stamps.get(name);
  if (!stamped) {
    stamped = { stamp: 0, setBy: '' };
    stamps.set(name, stamped);
  }
  return stamped;
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
