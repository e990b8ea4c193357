/**
 * The series of a table, page by page, and the values of its tags. Pure.
 */

export interface KnownSeries {
  /** In the order of the table's tags; null where a series has none. */
  readonly values: readonly (string | null)[];
  /** Of its newest row, RFC 3339. */
  readonly lastTime: string;
}

/** `dev-*`: a star stands for any text; everything else for itself. */
export interface TagMatch {
  readonly tag: number;
  readonly pattern: string;
}

/** @param series in the order of their tags @param after how many of those that match are left out */
export function pageOfSeries(
  series: readonly KnownSeries[],
  matches: readonly TagMatch[],
  after: number,
  limit: number,
): { readonly page: readonly KnownSeries[]; readonly total: number } {
  const found = series.filter(({ values }) =>
    matches.every(({ tag, pattern }) => matchesPattern(values[tag] ?? '', pattern)),
  );
  return { page: found.slice(after, after + limit), total: found.length };
}

/** In time linear to the text, whatever the pattern: no regular expression is made of what a client sends. */
export function matchesPattern(text: string, pattern: string): boolean {
  const [first = '', ...others] = pattern.split('*');
  if (others.length === 0) return text === first;
  if (!text.startsWith(first)) return false;
  const last = others.pop() ?? '';
  let from = first.length;
  for (const part of others) {
    const found = text.indexOf(part, from);
    if (found < 0) return false;
    from = found + part.length;
  }
  return text.length - last.length >= from && text.endsWith(last);
}

/** Each value of one tag, and how many series have it, in order. */
export function valuesOfTag(
  series: readonly KnownSeries[],
  tag: number,
): { readonly value: string | null; readonly series: number }[] {
  const counts = new Map<string | null, number>();
  for (const { values } of series)
    counts.set(values[tag] ?? null, (counts.get(values[tag] ?? null) ?? 0) + 1);
  return [...counts]
    .map(([value, count]) => ({ value, series: count }))
    .sort((left, right) => ((left.value ?? '') < (right.value ?? '') ? -1 : 1));
}
