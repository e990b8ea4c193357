/**
 * Topic templates of streams: `plant/{site}/{device}/environment`. A `{name}` takes one level and makes it a tag; `+`
 * takes one level and forgets it; `#` at the end takes the rest.
 */
import { foldColumnName, isIdentifier, reservedColumnNames } from '@varve/common/contract/names.js';

export interface TopicTemplate {
  readonly text: string;
  readonly levels: readonly TemplateLevel[];
  /** Names of the tags, in the order of the levels. */
  readonly tags: readonly string[];
}

export type TemplateLevel =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tag'; readonly name: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'rest' };

/** The template, or what is wrong with the text and what to write. */
export function parseTopicTemplate(text: string): TopicTemplate | string {
  if (text === '') return 'write a topic such as plant/{site}/{device}/environment';
  const parts = text.split('/');
  const levels: TemplateLevel[] = [];
  for (const [index, part] of parts.entries()) {
    const level = parseLevel(part, index === parts.length - 1);
    if (typeof level === 'string') return level;
    levels.push(level);
  }
  const tags = levels.flatMap((level) => (level.kind === 'tag' ? [level.name] : []));
  const twice = tags.find((tag, index) => tags.indexOf(tag) !== index);
  if (twice !== undefined) return `{${twice}} stands twice: every tag needs a name of its own`;
  return { text, levels, tags };
}

function parseLevel(part: string, isLast: boolean): TemplateLevel | string {
  if (part === '+') return { kind: 'any' };
  if (part === '#') return isLast ? { kind: 'rest' } : '# may only be the last level';
  const name = /^\{(.*)\}$/.exec(part)?.[1];
  if (name === undefined)
    return /[{}+#]/.test(part)
      ? `"${part}" is not understood: a level is text, {tag}, + or, as the last, #`
      : { kind: 'text', text: part };
  if (!isIdentifier(name) || reservedColumnNames.has(name))
    return `{${name}} is no name for a tag: write {${foldColumnName(name)}} (a-z, 0-9 and _; time and day are taken)`;
  return { kind: 'tag', name };
}

/** The tags' values in the order of `template.tags`, or undefined where the topic does not match. */
export function matchTopic(template: TopicTemplate, topic: string): string[] | undefined {
  const parts = topic.split('/');
  const values: string[] = [];
  for (const [index, level] of template.levels.entries()) {
    if (level.kind === 'rest') return values;
    const part = parts[index];
    if (part === undefined) return undefined;
    if (level.kind === 'text' && level.text !== part) return undefined;
    if (level.kind === 'tag') values.push(part);
  }
  return parts.length === template.levels.length ? values : undefined;
}
