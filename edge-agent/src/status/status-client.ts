/** What `varve-edge status` and `varve-edge tail --dead` print: questions to the running agent, answers for people. */
import { formatListenAddress, type ListenAddress } from '@varve/common/config/listen-address.js';
import { Failure, messageOf } from '@varve/common/errors.js';
import type { ReplayReport } from '../replay/replay-letters.js';
import type { EdgeStatus } from './status.js';

interface ShownDeadLetter {
  readonly seq: number;
  readonly topic: string;
  readonly arrived: string;
  readonly code: string;
  readonly reason: string;
  readonly payload?: string;
  readonly payload_base64?: string;
}

export async function printStatus(address: ListenAddress, asJson: boolean): Promise<string> {
  const status = (await askAgent(address, '/status')) as EdgeStatus;
  return asJson ? `${JSON.stringify(status)}\n` : describeStatus(status);
}

export async function printDeadLetters(
  address: ListenAddress,
  limit: string,
  asJson: boolean,
): Promise<string> {
  const path = `/dead-letters?limit=${encodeURIComponent(limit)}`;
  const { dead_letters: letters } = (await askAgent(address, path)) as { dead_letters: ShownDeadLetter[] };
  if (asJson) return letters.map((letter) => `${JSON.stringify(letter)}\n`).join('');
  if (letters.length === 0) return 'no dead letters: every message was understood\n';
  return letters.map(describeDeadLetter).join('');
}

/** Of reading; a replay may take longer. */
const askedMsMax = 10_000;
const replayedMsMax = 600_000;

export async function printReplay(
  address: ListenAddress,
  question: { readonly stream: string | undefined; readonly isDryRun: boolean },
  asJson: boolean,
): Promise<string> {
  const body = JSON.stringify({ stream: question.stream, dry_run: question.isDryRun });
  const headers = { 'content-type': 'application/json' };
  const signal = AbortSignal.timeout(replayedMsMax);
  const report = await askAgent(address, '/dead-letters/replay', { method: 'POST', body, headers, signal });
  return asJson ? `${JSON.stringify(report)}\n` : describeReplay(report as ReplayReport);
}

export async function askAgent(
  address: ListenAddress,
  path: string,
  request: RequestInit = { signal: AbortSignal.timeout(askedMsMax) },
): Promise<unknown> {
  const url = `http://${formatListenAddress(address)}${path}`;
  let response: Response;
  try {
    response = await fetch(url, request);
  } catch (cause) {
    throw new Failure('server_unreachable', `no agent answers on ${url}: ${messageOf(cause)}`, {
      cause,
      hint: 'start it with "varve-edge run", or check status.listen in the configuration',
    });
  }
  const answer = (await response.json()) as { title?: string; hint?: string };
  if (response.ok) return answer;
  throw new Failure('bad_request', answer.title ?? `the agent answered ${response.status}`, {
    ...(answer.hint === undefined ? {} : { hint: answer.hint }),
  });
}

export function describeStatus(status: EdgeStatus): string {
  const { store, outbox, log } = status;
  const sources = Object.entries(status.sources).map(([name, source]) => {
    const state = source.connected ? 'connected' : `not connected: ${source.last_error ?? 'starting'}`;
    return `source ${name}  ${state} (${source.broker}, MQTT ${source.protocol_version}) since ${source.since}`;
  });
  const problem = store.problem
    ? `${store.problem.message}${store.problem.hint === null ? '' : `\n              what to do: ${store.problem.hint}`}`
    : 'takes shipments';
  return [
    `agent ${status.agent}  version ${status.version}, epoch ${status.epoch}, up ${status.uptime_seconds} s`,
    ...sources,
    `log           ${formatMegabytes(log.bytes)}, ${log.waiting_messages} messages in no shipment yet`,
    `outbox        ${outbox.shipments} shipments, ${formatMegabytes(outbox.bytes)}, oldest ${status.oldest_unshipped_seconds.toFixed(0)} s`,
    `buffer        ${describeBuffer(status.buffer)}`,
    ...describeKept(status.buffer.kept).map((text) => `kept          ${text}`),
    `store         ${problem}`,
    `clock         ${describeClock(status.clock)}`,
    `losses        ${describeLosses(status.losses)}`,
    '',
  ].join('\n');
}

/** Nothing where no stream keeps its messages; an older agent does not say. */
function describeKept(kept: EdgeStatus['buffer']['kept'] | undefined): string[] {
  if (!kept || (kept.since === null && kept.released_messages === 0)) return [];
  const since = kept.since === null ? 'nothing' : `${formatMegabytes(kept.bytes)} since ${kept.since}`;
  const released = kept.released_messages;
  return [released === 0 ? since : `${since}; ${released} messages went early, for want of room`];
}

function describeBuffer(buffer: EdgeStatus['buffer']): string {
  const { bytes, max_bytes, free_bytes, days_left, state, reason } = buffer;
  const left = days_left === null ? '' : `, room for ${days_left.toFixed(1)} days without the store`;
  const held = `${formatMegabytes(bytes)} of ${formatMegabytes(max_bytes)}, disk has ${formatMegabytes(free_bytes)} free${left}`;
  if (state === 'collecting') return held;
  return `${held}\n              ${state === 'stopped' ? 'reading stopped' : 'dropping messages'}: ${reason ?? ''}`;
}

function describeClock({
  state,
  basis,
  reason,
  waiting_messages,
  steps,
  last_step,
}: EdgeStatus['clock']): string {
  const set =
    last_step === null ? '' : `; set ${steps} times, last ${last_step.when} by ${last_step.seconds} s`;
  if (state === 'trusted') return `trusted (${basis ?? ''})${set}`;
  const rows =
    state === 'waiting' ? `${waiting_messages} messages wait for it` : 'arrival times are what it says';
  return `not trusted: ${reason ?? ''}; ${rows}${set}`;
}

function describeLosses({ total, last }: EdgeStatus['losses']): string {
  if (last === null) return 'none';
  const kinds = Object.entries(total).map(([kind, { messages }]) => `${kind} ${messages}`);
  return `${kinds.join(', ')} messages; last ${last.when}: ${last.kind}, ${last.reason}`;
}

function describeReplay({ dry_run, letters, replayed, read_by, still_refused }: ReplayReport): string {
  if (letters === 0) return 'no dead letters: there is nothing to replay\n';
  const streams = Object.entries(read_by).map(
    ([name, { messages, rows }]) => `    ${name}: ${messages} messages, ${rows} rows\n`,
  );
  const refused = still_refused.map(
    ({ stream, code, messages, reason }) =>
      `    ${messages} by ${stream ?? 'all streams'}, ${code}: ${reason}\n`,
  );
  return [
    `${replayed} of ${letters} dead letters ${dry_run ? 'would become messages again' : 'are messages again'}\n`,
    ...streams,
    ...(refused.length === 0 ? [] : ['still refused, and kept as dead letters:\n', ...refused]),
    ...(dry_run ? ['nothing has changed: run it without --dry-run\n'] : []),
  ].join('');
}

function describeDeadLetter(letter: ShownDeadLetter): string {
  const payload = letter.payload ?? `base64:${letter.payload_base64 ?? ''}`;
  return `${letter.arrived}  ${letter.topic}\n    ${letter.code}: ${letter.reason}\n    ${payload.slice(0, 200)}\n`;
}

function formatMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
