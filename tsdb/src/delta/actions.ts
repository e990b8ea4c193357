/**
 * The actions of a Delta log (PROTOCOL.md, "Actions"), and a commit file: newline-delimited JSON, one action per line.
 *
 * As the protocol asks of every client, unknown actions and unknown members are ignored when read. What would make us
 * answer wrongly – a reader feature we do not have – is refused by `requireReadable`, naming it.
 */
import { z } from 'zod';
import { Failure, messageOf } from '@varve/common/errors.js';

const textByText = z.record(z.string(), z.string());
const partitionValues = z.record(z.string(), z.string().nullable());

const commitInfoSchema = z.looseObject({ txnId: z.string().optional() });

const protocolSchema = z.object({
  minReaderVersion: z.int(),
  minWriterVersion: z.int(),
  readerFeatures: z.array(z.string()).optional(),
  writerFeatures: z.array(z.string()).optional(),
});

const metaDataSchema = z.object({
  id: z.string(),
  name: z.string().nullish(),
  description: z.string().nullish(),
  format: z.object({ provider: z.string(), options: textByText.optional() }),
  schemaString: z.string(),
  partitionColumns: z.array(z.string()),
  createdTime: z.number().nullish(),
  configuration: textByText.default({}),
});

const txnSchema = z.object({
  appId: z.string(),
  version: z.int(),
  lastUpdated: z.number().nullish(),
});

const addSchema = z.object({
  path: z.string(),
  partitionValues,
  size: z.int(),
  modificationTime: z.number(),
  dataChange: z.boolean(),
  stats: z.string().nullish(),
  tags: z.record(z.string(), z.string().nullable()).nullish(),
});

const removeSchema = z.object({
  path: z.string(),
  deletionTimestamp: z.number().nullish(),
  dataChange: z.boolean(),
  extendedFileMetadata: z.boolean().nullish(),
  partitionValues: partitionValues.nullish(),
  size: z.int().nullish(),
});

export type CommitInfo = z.infer<typeof commitInfoSchema>;
export type Protocol = z.infer<typeof protocolSchema>;
export type MetaData = z.infer<typeof metaDataSchema>;
export type Txn = z.infer<typeof txnSchema>;
export type Add = z.infer<typeof addSchema>;
export type Remove = z.infer<typeof removeSchema>;

/** One line of a commit. */
export type Action =
  | { readonly add: Add }
  | { readonly remove: Remove }
  | { readonly txn: Txn }
  | { readonly commitInfo: CommitInfo }
  | { readonly metaData: MetaData }
  | { readonly protocol: Protocol };

const actionSchemas = {
  add: addSchema,
  remove: removeSchema,
  txn: txnSchema,
  commitInfo: commitInfoSchema,
  metaData: metaDataSchema,
  protocol: protocolSchema,
};
const actionNames = Object.keys(actionSchemas) as (keyof typeof actionSchemas)[];

/** @throws Failure `table_unreadable` naming `key` and the line */
export function parseCommit(key: string, text: string): Action[] {
  return text
    .split('\n')
    .flatMap((line, index) => (line.trim() === '' ? [] : parseLine(key, line, index + 1)));
}

function parseLine(key: string, line: string, lineNumber: number): Action[] {
  try {
    const value = z.record(z.string(), z.unknown()).parse(JSON.parse(line));
    const name = actionNames.find((known) => known in value);
    return name === undefined
      ? []
      : [{ [name]: actionSchemas[name].parse(value[name]) } as unknown as Action];
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new Failure('table_unreadable', `line ${lineNumber} of ${key} is no Delta action: ${reason}`, {
      cause,
      facts: { key },
    });
  }
}

export function formatCommit(actions: readonly Action[]): string {
  return actions.map((action) => `${JSON.stringify(action)}\n`).join('');
}

/** The token by which the writer of a commit knows its own again. */
export function tokenOf(actions: readonly Action[]): string | undefined {
  for (const action of actions) if ('commitInfo' in action) return action.commitInfo.txnId;
  return undefined;
}

/** The protocol of our tables: what every reader of DESIGN §1 understands, with no table features. */
export const ourProtocol: Protocol = { minReaderVersion: 1, minWriterVersion: 2 };

/** @throws Failure `table_unreadable` when reading the table takes more than we know */
export function requireReadable(table: string, protocol: Protocol): void {
  if (protocol.minReaderVersion <= ourProtocol.minReaderVersion) return;
  const features = protocol.readerFeatures?.join(', ') ?? 'column mapping';
  throw new Failure(
    'table_unreadable',
    `table ${table} needs Delta reader version ${protocol.minReaderVersion} (${features})`,
    { hint: 'rewrite it without these features, or move it out of the store', facts: { table } },
  );
}

/** @throws Failure `table_unreadable` when writing to the table could break a promise made to other writers */
export function requireWritable(table: string, protocol: Protocol): void {
  if (protocol.minWriterVersion <= ourProtocol.minWriterVersion) return;
  const features = protocol.writerFeatures?.join(', ') ?? 'unnamed features';
  throw new Failure(
    'table_unreadable',
    `table ${table} needs Delta writer version ${protocol.minWriterVersion} (${features}); it can be read, not written`,
    { hint: 'another program raised it; restore the table from a version before that', facts: { table } },
  );
}
