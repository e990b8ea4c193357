/** What `varve-edge tail` prints: the running agent's lines, for eyes or for programs. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';
import { formatListenAddress, type ListenAddress } from '@varve/common/config/listen-address.js';
import { Failure, messageOf } from '@varve/common/errors.js';

interface ShownRow {
  readonly table: string;
  readonly time: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface ShownMessage {
  readonly arrived?: string;
  readonly topic?: string;
  readonly stream?: string | null;
  readonly rows?: readonly ShownRow[];
  readonly more_rows?: number;
  readonly refused?: { readonly code: string; readonly reason: string };
  readonly payload?: string;
  readonly dropped?: number;
}

export interface TailOptions {
  readonly address: ListenAddress;
  readonly stream: string | undefined;
  readonly asJson: boolean;
  /** Ends after so many messages. */
  readonly countMax: number;
  readonly write: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Until `signal` aborts, `countMax` messages are shown, or the agent ends. @throws Failure `server_unreachable`, `bad_request` */
export async function showTail({
  address,
  stream,
  asJson,
  countMax,
  write,
  signal,
}: TailOptions): Promise<void> {
  const query = stream === undefined ? '' : `?stream=${encodeURIComponent(stream)}`;
  const url = `http://${formatListenAddress(address)}/tail${query}`;
  const body = await open(url, signal);
  if (!body || countMax === 0) return;
  let count = 0;
  try {
    for await (const line of createInterface({ input: body })) {
      write(asJson ? `${line}\n` : describeLine(JSON.parse(line) as ShownMessage));
      if (++count >= countMax) return;
    }
  } catch (error) {
    if (!signal.aborted) throw unreachable(url, error);
  } finally {
    body.destroy();
  }
}

/** Undefined when `signal` aborted meanwhile. Not by `fetch`, which gives up on a plant that is silent for five minutes. */
async function open(url: string, signal: AbortSignal): Promise<IncomingMessage | undefined> {
  let response: IncomingMessage;
  try {
    [response] = (await once(get(url, { signal }), 'response')) as [IncomingMessage];
  } catch (error) {
    if (signal.aborted) return undefined;
    throw unreachable(url, error);
  }
  if (response.statusCode === 200) return response;
  const answer = (await json(response)) as { title?: string; hint?: string };
  throw new Failure('bad_request', answer.title ?? `the agent answered ${response.statusCode ?? 0}`, {
    ...(answer.hint === undefined ? {} : { hint: answer.hint }),
  });
}

function unreachable(url: string, cause: unknown): Failure {
  return new Failure('server_unreachable', `no agent answers on ${url}: ${messageOf(cause)}`, {
    cause,
    hint: 'start it with "varve-edge run", or check status.listen in the configuration',
  });
}

function describeLine({
  arrived,
  topic,
  stream,
  rows,
  more_rows,
  refused,
  payload,
  dropped,
}: ShownMessage): string {
  if (dropped !== undefined)
    return `… ${dropped} messages were not shown: this terminal is too slow for them\n`;
  const head = `${arrived ?? ''}  ${topic ?? ''}`;
  if (refused)
    return `${head}  refused${typeof stream !== 'string' ? '' : ` by ${stream}`}, ${refused.code}: ${refused.reason}\n    ${payload ?? ''}\n`;
  const lines = (rows ?? []).map(({ table, time, tags, fields }) => {
    const columns = Object.entries({ ...tags, ...fields }).map(([name, value]) => `${name}=${String(value)}`);
    return `    ${table}  ${time}  ${columns.join(' ')}\n`;
  });
  return `${head}  ${stream ?? ''}\n${lines.join('')}${more_rows === undefined ? '' : `    … and ${more_rows} rows\n`}`;
}
