/**
 * Parameters of a URL against a schema: whatever is wrong is named, and what is unknown is refused. A misspelt option that is
 * passed over would be an answer to another question.
 */
import { Failure } from '@varve/common/errors.js';
import type { z } from 'zod';

/**
 * @param also names that may stand beside those of the schema, for the hint
 * @throws Failure `bad_param`
 */
export function checkParams<Schema extends z.ZodObject>(
  schema: Schema,
  given: unknown,
  also: readonly string[] = [],
): z.output<Schema> {
  const result = schema.safeParse(given ?? {});
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ name: key, message: 'is not a parameter' }))
      : [{ name: String(issue.path[0] ?? 'body'), message: issue.message }],
  );
  throw new Failure('bad_param', problems.map(({ name, message }) => `${name}: ${message}`).join('; '), {
    hint: `there are ${[...Object.keys(schema.shape), ...also].join(', ')}`,
    facts: { parameters: problems.map(({ name }) => name) },
  });
}

export function badParam(name: string, message: string, hint?: string): Failure {
  return new Failure('bad_param', `${name}: ${message}`, {
    ...(hint !== undefined && { hint }),
    facts: { parameters: [name] },
  });
}
