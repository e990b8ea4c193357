/**
 * Files of tests for a configuration (`edge.test.yaml`): messages in, expected rows, windows and refusals out.
 *
 * What is not written is not expected: a refusal that no `refused` names fails the test, and so does a table that `rows` lacks.
 * Without `rows`, or without `windows`, those are not looked at.
 */
import { basename } from 'node:path';
import { z } from 'zod';
import { readConfig, type ConfigSource } from '@varve/common/config/read-config.js';
import { parseTimeUs } from '../decode/time.js';

const timeText = z
  .string({ error: 'write a time such as 2026-11-22T10:00:00Z' })
  .transform((text, context) => {
    const us = parseTimeUs(text, 'rfc3339');
    if (us !== undefined) return us;
    context.addIssue({ code: 'custom', message: 'write a time such as 2026-11-22T10:00:00Z' });
    return z.NEVER;
  });

const payloads = ['payload', 'json', 'base64'] as const;

const messageSchema = z
  .strictObject({
    topic: z.string({ error: 'write the topic it comes under' }).min(1),
    payload: z.string({ error: 'write the payload as a text in quotes, or json: with its value' }).optional(),
    json: z.unknown().optional(),
    base64: z.base64({ error: 'is no base64' }).optional(),
    arrived: timeText.optional(),
  })
  .superRefine((message, context) => {
    if (payloads.filter((name) => message[name] !== undefined).length === 1) return;
    context.addIssue({ code: 'custom', message: 'write one of payload (text), json or base64' });
  });

const scalar = z.union([z.number(), z.boolean(), z.string(), z.null()], {
  error: 'write a number, a boolean, a text, or null',
});
const rowSchema = z
  .record(z.string(), scalar, { error: 'write a row as columns, such as { site: a, temperature: 21.5 }' })
  .superRefine((row, context) => {
    const { time } = row;
    if (time === undefined || (typeof time === 'string' && parseTimeUs(time, 'rfc3339') !== undefined))
      return;
    context.addIssue({
      code: 'custom',
      path: ['time'],
      message: 'write a time such as 2026-11-22T10:00:00Z',
    });
  });
const tablesSchema = z.record(z.string(), z.array(rowSchema, { error: 'list the rows: - { … }' }), {
  error: 'write tables with their rows, such as environment: [{ … }]',
});

const refusalSchema = z.strictObject({
  topic: z.string().optional(),
  stream: z.string().optional(),
  code: z.string().optional(),
  reason: z.string({ error: 'write a part of the reason' }).optional(),
});

const testSchema = z
  .strictObject({
    name: z.string({ error: 'name the behaviour that it shows' }).min(1),
    messages: z
      .array(messageSchema, { error: 'list the messages: - { topic: …, json: … }' })
      .min(1)
      .max(100_000),
    rows: tablesSchema.optional(),
    windows: tablesSchema.optional(),
    refused: z.array(refusalSchema, { error: 'list the refusals: - { reason: … }' }).default([]),
    tolerance: z.number().min(0).default(0),
    other_columns: z.enum(['refuse', 'ignore'], { error: 'write refuse or ignore' }).default('refuse'),
  })
  .superRefine((test, context) => {
    if (test.rows ?? test.windows ?? (test.refused.length > 0 ? test.refused : undefined)) return;
    context.addIssue({ code: 'custom', message: 'expects nothing: write rows, windows or refused' });
  });

export const testFileSchema = z.strictObject({
  tests: z.array(testSchema, { error: 'list the tests: - name: …' }).min(1, 'list at least one test'),
});

export type ConfigTest = z.infer<typeof testSchema>;
export type TestMessage = z.infer<typeof messageSchema>;
export type ExpectedRow = z.infer<typeof rowSchema>;
export type ExpectedRefusal = z.infer<typeof refusalSchema>;

/** @throws Failure `config_unreadable`, `config_invalid` (every mistake with its line) */
export async function readTestFile(source: ConfigSource): Promise<readonly ConfigTest[]> {
  return (await readConfig(source, testFileSchema)).tests;
}

/** `edge.yaml` → whether `name` holds tests: `edge.test.yaml`, `pressure.test.yaml`. */
export function isTestFile(name: string): boolean {
  return /\.test\.ya?ml$/.test(basename(name));
}

/** The bytes that come in. */
export function payloadOf({ payload, json, base64 }: TestMessage): Uint8Array {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  return Buffer.from(payload ?? JSON.stringify(json));
}
