/**
 * Names of tables that messages choose: `table: "{kind}"` takes a level of the topic, `{measurement}` what line protocol says.
 * What is filled in is folded to a name (`Env 1` → `env_1`), so two that fold to one name share a table: a tag keeps them
 * apart (`tags: { kind: { topic: kind } }`).
 */
import { foldName, isIdentifier } from '@varve/common/contract/names.js';

export interface TableTemplate {
  /** Texts and names in turns, a text first and last: `env_{kind}` is ["env_", "kind", ""]. */
  readonly parts: readonly string[];
  /** What stands in braces. */
  readonly names: readonly string[];
}

export const measurementPart = 'measurement';

/** The template, or what is wrong with the text and what to write. */
export function parseTableTemplate(text: string): TableTemplate | string {
  const parts = text.split(/\{([^{}]*)\}/);
  const texts = parts.filter((_, index) => index % 2 === 0);
  const names = parts.filter((_, index) => index % 2 === 1);
  const wrongText = texts.find((part) => !/^[a-z0-9_]*$/.test(part));
  if (wrongText !== undefined || !isIdentifier(texts.join('x')) || text.length > 63)
    return 'is no name of a table: use a-z, 0-9 and _, not starting with a digit, and {name} for a level of the topic';
  return { parts, names };
}

/** The table for these values, which stand in the order of `names`. */
export function nameTable({ parts }: TableTemplate, values: readonly string[]): string {
  if (parts.length === 1) return parts[0] ?? '';
  return foldName(
    parts.map((part, index) => (index % 2 === 0 ? part : foldName(values[(index - 1) / 2] ?? ''))).join(''),
  );
}
