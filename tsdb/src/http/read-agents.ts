/**
 * The documents that agents leave in the store as `agents/<agent>/status.json`, as they are.
 *
 * An agent that may not delete leaves two small probe objects in its folder at every start: a folder with many others in
 * it is jumped over to where its status would stand, so that listing stays cheap. Bounds: agents, bytes of a document,
 * documents read at once.
 */
import { agentsPrefix, parseAgentStatusKey } from '@varve/common/contract/object-keys.js';
import { isFailure, messageOf } from '@varve/common/errors.js';
import type { ObjectInfo, Store } from '@varve/common/store/store.js';
import { mapBounded } from '../delta/bounded.js';

const agentsMax = 1_000;
const documentBytesMax = 1_000_000;
const readsAtOnceMax = 16;
/** Other objects in one folder before it is jumped over. */
const othersMax = 20;

type ReadableStore = Pick<Store, 'list' | 'get'>;

export interface ShownAgent {
  readonly agent: string;
  /** Since the document was put, by the store's clock: agents may have wrong ones. */
  readonly age_seconds: number;
  /** As `GET /status` of the agent, with `written_at`; absent where it cannot be read. */
  readonly status?: unknown;
  readonly problem?: string;
}

export interface AgentsAnswer {
  /** In order of their names. */
  readonly agents: readonly ShownAgent[];
  /** There are more. */
  readonly truncated: boolean;
}

export async function readAgents(store: ReadableStore, nowMs: number): Promise<AgentsAnswer> {
  const { infos, truncated } = await listStatuses(store);
  const agents = await mapBounded(infos, readsAtOnceMax, (info) => readAgent(store, info, nowMs));
  return { agents: agents.flatMap((agent) => agent ?? []), truncated };
}

/** Undefined when it is gone. */
async function readAgent(
  store: ReadableStore,
  { key, bytes, modifiedMs }: ObjectInfo,
  nowMs: number,
): Promise<ShownAgent | undefined> {
  const agent = parseAgentStatusKey(key) ?? key;
  const shown = { agent, age_seconds: Math.max(0, Math.round((nowMs - modifiedMs) / 1_000)) };
  if (bytes > documentBytesMax) return { ...shown, problem: `the document has ${bytes} bytes` };
  try {
    return { ...shown, status: JSON.parse(Buffer.from(await store.get(key)).toString()) };
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    if (isFailure(error)) throw error;
    return { ...shown, problem: `the document is not JSON: ${messageOf(error)}` };
  }
}

async function listStatuses(store: ReadableStore): Promise<{ infos: ObjectInfo[]; truncated: boolean }> {
  const infos: ObjectInfo[] = [];
  let position: string | undefined;
  do position = await listRun(store, infos, position);
  while (position !== undefined && infos.length <= agentsMax);
  return { infos: infos.slice(0, agentsMax), truncated: infos.length > agentsMax };
}

/** Adds to `infos`. Returns where to go on, after a folder with too many others; undefined at the end. */
async function listRun(
  store: ReadableStore,
  infos: ObjectInfo[],
  startAfter: string | undefined,
): Promise<string | undefined> {
  let folder = '';
  let others = 0;
  for await (const info of store.list(agentsPrefix, startAfter === undefined ? {} : { startAfter })) {
    const [name = ''] = info.key.slice(agentsPrefix.length).split('/', 1);
    others = name === folder ? others : 0;
    folder = name;
    if (parseAgentStatusKey(info.key) !== undefined) infos.push(info);
    else if (++others > othersMax) return behindOthers(folder, info.key);
    if (infos.length > agentsMax) return undefined;
  }
  return undefined;
}

/** Before the folder's status, or behind the folder when the listing has passed that: `0` comes right after `/`. */
function behindOthers(folder: string, key: string): string {
  const beforeStatus = `${agentsPrefix}${folder}/status.`;
  return key < beforeStatus ? beforeStatus : `${agentsPrefix}${folder}0`;
}
