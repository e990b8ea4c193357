/**
 * Every key of an object in the store (DESIGN §5.4). Nothing else formats or parses one.
 *
 *     inbox/<agent>/<epoch>/<lane>/<database>/<table>/<seq, 12 digits>.parquet
 *     agents/<agent>/status.json
 *     agents/<agent>/probe/<uuid>                             as probe/<uuid>, where an agent may write
 *     tables/<database>/<table>/_delta_log/<version, 20 digits>.json
 *     tables/<database>/<table>/_delta_log/<version, 20 digits>.checkpoint.parquet
 *     tables/<database>/<table>/_delta_log/_last_checkpoint
 *     tables/<database>/<table>/day=YYYY-MM-DD/part-<uuid>.parquet
 *     quarantine/<the inbox key without "inbox/">            the bytes as they came
 *     quarantine/<the inbox key without "inbox/">.reason.json   why
 *     pins/<database>/<table>/<version, 20 digits>.json      a version that is kept for good
 *     ops/jobs/<id>.json                                      a delete of rows, until it is done
 *     ops/lease/<term, 12 digits>.json                        which tsdb works on the store
 *     ops/tokens/<id>.json                                    who may ask what; holds no secret, only its hash
 *     probe/<uuid>                                            written and deleted when a store is opened
 */
import { Failure } from '../errors.js';
import { identifierPattern, keyPartPattern, requireIdentifier, requireKeyPart } from './names.js';

/** One agent's numbered way into one table: `seq` counts along it from 1 without gaps. */
export interface Lane {
  readonly agent: string;
  readonly epoch: string;
  readonly lane: string;
  readonly database: string;
  readonly table: string;
}

export interface InboxKey extends Lane {
  readonly seq: number;
}

export interface TableName {
  readonly database: string;
  readonly table: string;
}

export const inboxPrefix = 'inbox/';
export const tablesPrefix = 'tables/';
export const quarantinePrefix = 'quarantine/';
export const agentsPrefix = 'agents/';
export const jobsPrefix = 'ops/jobs/';
export const leasePrefix = 'ops/lease/';
export const tokensPrefix = 'ops/tokens/';
export const probePrefix = 'probe/';
export const defaultDatabase = 'main';
export const firstSeq = 1;

const seqDigits = 12;
const versionDigits = 20;
const seqMax = 10 ** seqDigits - 1;

function formatSeq(seq: number): string {
  if (!Number.isSafeInteger(seq) || seq < firstSeq || seq > seqMax)
    throw new Failure('key_invalid', `shipment number ${seq} is outside ${firstSeq} to ${seqMax}`);
  return String(seq).padStart(seqDigits, '0');
}

function formatLane(lane: Lane): string {
  return [
    requireKeyPart('agent', lane.agent),
    requireKeyPart('epoch', lane.epoch),
    requireKeyPart('lane', lane.lane),
    requireIdentifier('database', lane.database),
    requireIdentifier('table', lane.table),
  ].join('/');
}

export function formatInboxKey(key: InboxKey): string {
  return `${inboxPrefix}${formatLane(key)}/${formatSeq(key.seq)}.parquet`;
}

/** The parts of an inbox key, or undefined where the text is none: such objects are foreign and go to quarantine. */
export function parseInboxKey(key: string): InboxKey | undefined {
  if (!key.startsWith(inboxPrefix)) return undefined;
  const [agent, epoch, lane, database, table, file, ...rest] = key.slice(inboxPrefix.length).split('/');
  if (!agent || !epoch || !lane || !database || !table || !file || rest.length > 0) return undefined;
  const seqText = /^(\d{12})\.parquet$/.exec(file)?.[1];
  if (seqText === undefined || Number(seqText) < firstSeq) return undefined;
  const keyPartsFit = [agent, epoch, lane].every((part) => keyPartPattern.test(part));
  const identifiersFit = [database, table].every((part) => identifierPattern.test(part));
  return keyPartsFit && identifiersFit
    ? { agent, epoch, lane, database, table, seq: Number(seqText) }
    : undefined;
}

export function agentStatusKey(agent: string): string {
  return `${agentsPrefix}${requireKeyPart('agent', agent)}/status.json`;
}

/** The agent whose status stands there, or undefined for any other key. */
export function parseAgentStatusKey(key: string): string | undefined {
  const agent = /^agents\/([^/]+)\/status\.json$/.exec(key)?.[1];
  return agent !== undefined && keyPartPattern.test(agent) ? agent : undefined;
}

/** Where an inbox object (any key below `inbox/`, well formed or not) is put when it breaks the contract. */
export function quarantineKey(inboxKeyText: string): string {
  if (!inboxKeyText.startsWith(inboxPrefix))
    throw new Failure('key_invalid', `"${inboxKeyText}" is not below ${inboxPrefix}`);
  return quarantinePrefix + inboxKeyText.slice(inboxPrefix.length);
}

export function quarantineReasonKey(inboxKeyText: string): string {
  return `${quarantineKey(inboxKeyText)}.reason.json`;
}

/** The folder of one Delta table, with a trailing slash. */
export function tableRoot({ database, table }: TableName): string {
  return `${tablesPrefix}${requireIdentifier('database', database)}/${requireIdentifier('table', table)}/`;
}

export function deltaLogPrefix(name: TableName): string {
  return `${tableRoot(name)}_delta_log/`;
}

export function deltaCommitKey(name: TableName, version: number): string {
  return `${deltaLogPrefix(name)}${String(version).padStart(versionDigits, '0')}.json`;
}

/** The version of a commit file, or undefined for anything else below `_delta_log/`. */
export function parseDeltaCommitVersion(key: string): number | undefined {
  const file = parseDeltaLogKey(key);
  return file?.kind === 'commit' ? file.version : undefined;
}

export function deltaCheckpointKey(name: TableName, version: number): string {
  return `${deltaLogPrefix(name)}${String(version).padStart(versionDigits, '0')}.checkpoint.parquet`;
}

/** A hint, replaced in place, where the newest checkpoint is. */
export function lastCheckpointKey(name: TableName): string {
  return `${deltaLogPrefix(name)}_last_checkpoint`;
}

/** A file of a log that belongs to one version. Other writers' checkpoints may have several parts, counted from 1. */
export type DeltaLogFile =
  | { readonly kind: 'commit'; readonly version: number }
  | { readonly kind: 'checkpoint'; readonly version: number; readonly part: number; readonly parts: number }
  /** A checkpoint of the second kind, a checksum, a summary of several commits. */
  | { readonly kind: 'v2-checkpoint' | 'other'; readonly version: number };

const checkpointPart = /^checkpoint\.(\d{10})\.(\d{10})\.parquet$/;

/** Undefined for what is below `_delta_log/` and belongs to no version. */
export function parseDeltaLogKey(key: string): DeltaLogFile | undefined {
  const [, digits, rest = ''] = /\/_delta_log\/(\d{20})\.([^/]*)$/.exec(key) ?? [];
  if (digits === undefined) return undefined;
  const version = Number(digits);
  if (rest === 'json') return { kind: 'commit', version };
  if (rest === 'checkpoint.parquet') return { kind: 'checkpoint', version, part: 1, parts: 1 };
  const [, part, parts] = checkpointPart.exec(rest) ?? [];
  if (part !== undefined) return { kind: 'checkpoint', version, part: Number(part), parts: Number(parts) };
  const isV2 = /^checkpoint\.[0-9a-f-]+\.(?:json|parquet)$/.test(rest);
  return { kind: isV2 ? 'v2-checkpoint' : 'other', version };
}

/** Below it lie the pins of one table. */
export function pinsPrefix({ database, table }: TableName): string {
  return `pins/${requireIdentifier('database', database)}/${requireIdentifier('table', table)}/`;
}

export function pinKey(name: TableName, version: number): string {
  return `${pinsPrefix(name)}${String(version).padStart(versionDigits, '0')}.json`;
}

export function parsePinVersion(key: string): number | undefined {
  const digits = /^pins\/[^/]+\/[^/]+\/(\d{20})\.json$/.exec(key)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The table a key below `tables/` belongs to. */
export function parseTableName(key: string): TableName | undefined {
  const [, database, table] = /^tables\/([^/]+)\/([^/]+)\//.exec(key) ?? [];
  if (database === undefined || table === undefined) return undefined;
  return identifierPattern.test(database) && identifierPattern.test(table) ? { database, table } : undefined;
}

/** A data file's path inside its table: what the Delta log's `add.path` says. Needs no URI escaping. */
export function dataFilePath(day: string, uuid: string): string {
  if (!/^\d{4}-\d\d-\d\d$/.test(day) || !/^[0-9a-f-]{36}$/.test(uuid))
    throw new Failure('key_invalid', `day "${day}" or part "${uuid}" does not make a file name`);
  return `day=${day}/part-${uuid}.parquet`;
}

export function dataFileKey(name: TableName, path: string): string {
  return tableRoot(name) + path;
}

export function jobKey(id: string): string {
  return `${jobsPrefix}${requireKeyPart('job', id)}.json`;
}

export function tokenKey(id: string): string {
  return `${tokensPrefix}${requireKeyPart('token', id)}.json`;
}

export function leaseKey(term: number): string {
  return `${leasePrefix}${formatSeq(term)}.json`;
}

export function parseLeaseTerm(key: string): number | undefined {
  const digits = /^ops\/lease\/(\d{12})\.json$/.exec(key)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function probeKey(uuid: string): string {
  return `${probePrefix}${uuid}`;
}

/** For agents, who may write only below their own prefixes. */
export function agentProbeKey(agent: string, uuid: string): string {
  return `${agentsPrefix}${requireKeyPart('agent', agent)}/probe/${uuid}`;
}
