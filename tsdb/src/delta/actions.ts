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
    .flatMap((line, index) => (line.trim() === '' ? [] : parseAction(key, line, index + 1)));
}

/** No action when the line is one that we do not know. @throws Failure `table_unreadable` */
export function parseAction(key: string, line: string, lineNumber: number): Action[] {
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

/** Reader features that say nothing a reader must do. */
const harmlessReaderFeatures = ['vacuumProtocolCheck'];
const ourWriterFeatures = ['appendOnly', 'invariants', ...harmlessReaderFeatures];
/** What each writer version before features had names added (PROTOCOL.md, "Requirements for Writers"). */
const writerVersionFeatures: readonly (readonly [number, readonly string[]])[] = [
  [3, ['checkConstraints']],
  [4, ['changeDataFeed', 'generatedColumns']],
  [5, ['columnMapping']],
  [6, ['identityColumns']],
];

/** @throws Failure `table_unreadable` naming the features, when reading the table takes more than we know */
export function requireReadable(table: string, { minReaderVersion, readerFeatures }: Protocol): void {
  if (minReaderVersion <= ourProtocol.minReaderVersion) return;
  const features = minReaderVersion === 2 ? ['columnMapping'] : (readerFeatures ?? []);
  const unknown = features.filter((feature) => !harmlessReaderFeatures.includes(feature));
  if (minReaderVersion === 3 && readerFeatures !== undefined && unknown.length === 0) return;
  throw new Failure(
    'table_unreadable',
    `table ${table} needs Delta reader version ${minReaderVersion} (${unknown.join(', ') || 'unnamed features'})`,
    {
      hint: 'rewrite it without these features, or move it out of the store',
      facts: { table, features: unknown },
    },
  );
}

/** Of a table: what its writers have promised each other. */
export interface TablePromises {
  readonly protocol: Protocol;
  readonly metaData: MetaData;
}

/** Features of a table that we would break by writing to it, by name. */
function unknownWriterFeatures({ protocol, metaData }: TablePromises): string[] {
  const { minWriterVersion, writerFeatures = [] } = protocol;
  const named =
    minWriterVersion >= 7
      ? writerFeatures.filter((feature) => !ourWriterFeatures.includes(feature))
      : writerVersionFeatures.flatMap(([version, features]) => (version <= minWriterVersion ? features : []));
  if (minWriterVersion > 7) named.push(`writer version ${minWriterVersion}`);
  // Conditions on values, which are SQL of Spark's.
  if (metaData.schemaString.includes('"delta.invariants"')) named.push('invariants');
  if (Object.keys(metaData.configuration).some((key) => key.startsWith('delta.constraints.')))
    named.push('checkConstraints');
  return [...new Set(named)];
}

export function isWritable(promises: TablePromises): boolean {
  return unknownWriterFeatures(promises).length === 0;
}

/**
 * @throws Failure `table_unreadable` naming the features, when writing to the table could break a promise made to other
 * writers. `changesRows`: whether the commit takes rows away, which `delta.appendOnly` forbids.
 */
export function requireWritable(
  table: string,
  promises: TablePromises,
  { changesRows = false }: { readonly changesRows?: boolean } = {},
): void {
  const unknown = unknownWriterFeatures(promises);
  if (changesRows && promises.metaData.configuration['delta.appendOnly'] === 'true')
    unknown.push('appendOnly');
  if (unknown.length === 0) return;
  throw new Failure(
    'table_unreadable',
    `table ${table} has Delta features that forbid us to write to it (${unknown.join(', ')}); it can be read`,
    {
      hint: 'another program set them; restore the table from a version before that',
      facts: { table, features: unknown },
    },
  );
}
