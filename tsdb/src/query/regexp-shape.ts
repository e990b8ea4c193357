/**
 * What of a regular expression decides how long RE2 takes over a text (`regexp-cost.ts`). Pure, and never fails: of what RE2 does not
 * take DuckDB says so. Where this reads something otherwise than RE2, it must not come out smaller.
 */
import { characterSet, isPartition, literalSet, wholeSet } from './character-set.js';

export interface RegexpShape {
  /** Bytes, sets, groups, choices, with `{n}` written out: what RE2 compiles, and at most looks at for one byte of a text. */
  readonly positions: number;
  /**
   * Sets of characters that overlap, and what may be left out or is one of several. RE2 has a state for every way in which a text can
   * be among them at once: `[a-m][a-z]{12}` has 2 to the 13th, but `[0-9]{12}-` 13.
   */
  readonly free: number;
  /** Bytes of the longest text that matches; infinite with `*`, `+`, `{n,}`. */
  readonly longest: number;
  /** How far behind a match it may look for a longer one, besides what that would be of. */
  readonly lookahead: number;
  /** `*` among alternatives, or in what is repeated or optional: after any short match all that follows may have been looked at. */
  readonly isFarsighted: boolean;
}

interface Part extends RegexpShape {
  readonly sets: number;
}

const nothing: Part = {
  positions: 0,
  sets: 0,
  free: 0,
  longest: 0,
  lookahead: 0,
  isFarsighted: false,
};
/** A border, a group, a choice. */
const sign: Part = { ...nothing, positions: 1 };
/** RE2 takes no more than 1,000 copies. */
const most = 1e6;
const depthMax = 100;
/** What RE2 makes of a character beyond ASCII that is not a literal one, and of `\p{L}`. */
const wideSet = 3;
const scriptSet = 20;
const widestBytes = 4;

export function regexpShape(pattern: string): RegexpShape {
  return new Reader(pattern).all();
}

class Reader {
  readonly #text: string;
  readonly #seen = new Set<bigint>();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** A `)` that closes nothing ends nothing. */
  all(): RegexpShape {
    let part = this.#alternatives(0);
    while (this.#at < this.#text.length) {
      this.#at += 1;
      part = behind(part, this.#alternatives(0));
    }
    const { sets, free, ...others } = part;
    return { ...others, free: isPartition(this.#seen) ? free : free + sets };
  }

  #alternatives(depth: number): Part {
    const branches = [this.#sequence(depth)];
    while (this.#take('|')) branches.push(this.#sequence(depth));
    return branches.length === 1 ? (branches[0] ?? nothing) : oneOf(branches);
  }

  #sequence(depth: number): Part {
    let part = nothing;
    while (this.#at < this.#text.length && !this.#isAhead('|') && !this.#isAhead(')'))
      part = behind(part, this.#repeated(depth));
    return part;
  }

  #repeated(depth: number): Part {
    let part = this.#atom(depth);
    for (;;) {
      if (this.#take('*')) part = repeat(part, 0, Number.POSITIVE_INFINITY);
      else if (this.#take('+')) part = repeat(part, 1, Number.POSITIVE_INFINITY);
      else if (this.#take('?')) part = repeat(part, 0, 1);
      else {
        const [, least, comma, greatest] = this.#match(/\{(\d+)(,?)(\d*)\}/y) ?? [];
        if (least === undefined) return part;
        const to = greatest || (comma ? Number.POSITIVE_INFINITY : least);
        part = repeat(part, Number(least), Number(to));
      }
      // Behind another one it says that few are liked better.
      this.#take('?');
    }
  }

  #atom(depth: number): Part {
    if (this.#take('(')) {
      this.#match(/\?(?:P?<\w*>|[a-zA-Z-]*:?)/y);
      const inside = depth < depthMax ? this.#alternatives(depth + 1) : { ...nothing, positions: most };
      this.#take(')');
      return behind(inside, sign);
    }
    if (this.#take('.')) return this.#wide(wideSet);
    const [set] = this.#match(/\[\^?\]?(?:\[:\^?[a-z]+:\]|\\[^]|[^\]\\])*\]?|\\[dswDSW]/y) ?? [];
    if (set !== undefined) return this.#set(set);
    const [, quoted] = this.#match(/\\Q([^]*?)(?:\\E|$)/y) ?? [];
    if (quoted !== undefined) return this.#literal(quoted);
    if (this.#match(/\\[pP](?:\{[^}]*\}|[^])?/y)) return this.#wide(scriptSet);
    if (this.#match(/\\x(?:\{[^}]*\}|[^]{0,2})|\\C/y)) return this.#wide(wideSet);
    if (this.#match(/\\[AbBzE]|[$^]/y)) return sign;
    this.#take('\\');
    return this.#literal(this.#match(/[^]/uy)?.[0] ?? '');
  }

  #set(text: string): Part {
    const scripts = text.match(/\\[pP]/g)?.length ?? 0;
    if (scripts > 0) return this.#wide(scripts * scriptSet);
    const found = characterSet(text);
    if (found === undefined) return this.#wide(wideSet + text.length);
    this.#seen.add(found);
    return { ...nothing, positions: 1, sets: 1, longest: 1 };
  }

  #wide(positions: number): Part {
    this.#seen.add(wholeSet);
    return { ...nothing, positions, sets: 1, longest: widestBytes };
  }

  #literal(text: string): Part {
    for (const character of new Set(text)) this.#seen.add(literalSet(character));
    const bytes = Buffer.byteLength(text);
    return { ...nothing, positions: bytes, longest: bytes };
  }

  #isAhead(sign: string): boolean {
    return this.#text[this.#at] === sign;
  }

  #take(sign: string): boolean {
    const isAhead = this.#isAhead(sign);
    if (isAhead) this.#at += 1;
    return isAhead;
  }

  /** `pattern` is sticky. */
  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found) this.#at = pattern.lastIndex;
    return found ?? undefined;
  }
}

const isEndless = ({ longest }: Part) => longest === Number.POSITIVE_INFINITY;

function behind(left: Part, right: Part): Part {
  return {
    positions: Math.min(most, left.positions + right.positions),
    sets: Math.min(most, left.sets + right.sets),
    free: Math.min(most, left.free + right.free),
    longest: left.longest + right.longest,
    lookahead: left.lookahead + right.lookahead,
    isFarsighted: left.isFarsighted || right.isFarsighted,
  };
}

function oneOf(branches: readonly Part[]): Part {
  const together = branches.reduce(behind);
  const longest = Math.max(...branches.map((branch) => branch.longest));
  return {
    ...together,
    positions: Math.min(most, together.positions + branches.length),
    // Plain texts have no more states than letters.
    free: together.free + 1,
    longest,
    lookahead: longest + together.lookahead,
    isFarsighted: together.isFarsighted || branches.some(isEndless),
  };
}

function repeat(inner: Part, least: number, greatest: number): Part {
  const endless = greatest === Number.POSITIVE_INFINITY;
  const copies = Math.max(1, endless ? least : greatest);
  const times = (value: number) => Math.min(most, copies * value);
  // Each of which may be the last one; `[a-z]+` is as free as `[a-z]`.
  const ends = endless ? 1 : greatest - least;
  const isOne = inner.sets === 1 && inner.free === 0;
  return {
    positions: times(inner.positions + (ends > 0 ? 1 : 0)),
    sets: times(inner.sets),
    free: Math.min(most, times(inner.free) + (endless && isOne ? 0 : ends)),
    longest: inner.longest === 0 ? 0 : inner.longest * (endless ? greatest : copies),
    lookahead: times(inner.lookahead) + (isEndless(inner) ? 0 : ends * inner.longest),
    isFarsighted: inner.isFarsighted || (isEndless(inner) && !(least === 1 && greatest === 1)),
  };
}
