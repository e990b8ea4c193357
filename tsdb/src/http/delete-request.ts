/**
 * What a client may ask of `POST /api/v1/tables/{table}/delete`.
 *
 * | name      | meaning                                                                           |
 * |-----------|-----------------------------------------------------------------------------------|
 * | `where`   | an expression over the table's columns; rows for which it is true go              |
 * | `start`   | RFC 3339, or a date: rows from then on …                                          |
 * | `end`     | … and before this                                                                 |
 * | `dry_run` | true: only say what would go                                                      |
 *
 * At least one of the first three must be there: a body that was lost on the way deletes nothing.
 */
import { Failure } from '@varve/common/errors.js';
import { z } from 'zod';

export interface DeleteRequest {
  readonly where: string | undefined;
  /** Half open, microseconds since 1970 UTC; infinite where there is no limit. */
  readonly range: { readonly startUs: number; readonly endUs: number };
  readonly isDryRun: boolean;
}

const timeExpected = 'must be a time such as 2026-03-01T12:00:00Z, or a date';
const time = z.string(timeExpected).transform((text, context): number => {
  const us = parseTimeUs(text);
  if (us === undefined) context.addIssue(timeExpected);
  return us ?? 0;
});

export const deleteSchema = z.strictObject({
  where: z.string('must be text').optional(),
  start: time.optional(),
  end: time.optional(),
  dry_run: z.boolean('must be true or false').default(false),
});

export const dryRunSchema = z.strictObject({ dry_run: z.boolean().default(false) });

/** @throws Failure `bad_param` naming every member that is wrong */
export function readDeleteRequest(body: unknown): DeleteRequest {
  const result = deleteSchema.safeParse(body ?? {});
  if (!result.success) throw badParams(result.error.issues);
  const { where, start, end, dry_run: isDryRun } = result.data;
  if ((where ?? start ?? end) === undefined)
    throw new Failure('bad_param', 'where, start or end must be there', {
      hint: `such as {"where": "device = 'dev-1'", "start": "2026-03-01", "dry_run": true}`,
    });
  if (start !== undefined && end !== undefined && start >= end)
    throw new Failure('bad_param', 'end: must be after start');
  return { where, range: { startUs: start ?? -Infinity, endUs: end ?? Infinity }, isDryRun };
}

export function readDryRun(body: unknown): boolean {
  const result = dryRunSchema.safeParse(body ?? {});
  if (!result.success) throw badParams(result.error.issues);
  return result.data.dry_run;
}

function badParams(issues: readonly z.core.$ZodIssue[]): Failure {
  const texts = issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? `${issue.keys.join(', ')}: not known here`
      : `${issue.path.join('.') || 'the body'}: ${issue.message}`,
  );
  return new Failure('bad_param', texts.join('; '));
}

/** Undefined for anything that is no time. A time needs its zone; a date begins at midnight UTC. */
export function parseTimeUs(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d))?$/i.exec(text);
  if (!match) return undefined;
  const [, date = '', clock = '00:00', fraction = '', zone = 'Z'] = match;
  const ms = Date.parse(`${date}T${clock}${zone.toUpperCase()}`);
  return Number.isNaN(ms) ? undefined : ms * 1_000 + Number(fraction.padEnd(6, '0'));
}
