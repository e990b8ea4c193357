/**
 * Messages as they are decoded, for `varve-edge tail`: a line of JSON for each stream's rows of a message, and for each refusal.
 *
 * While nobody watches, a message costs one look at a variable. Who watches costs the formatting; who reads slowly has a buffer
 * of `bufferedBytesMax`, and beyond it lines are dropped and counted: `{"dropped": 12}` says so as soon as there is room. A
 * message that is read from the log a second time – a window that is made anew – is shown a second time.
 */
import { Readable } from 'node:stream';
import { Failure } from '@varve/common/errors.js';
import type { MappedRows } from '../decode/mapped-rows.js';
import type { RouteListener, Router, StreamRefusal } from '../decode/router.js';
import type { LoggedMessage } from '../message.js';

const watchersMax = 4;
/** Of each watcher, besides what the socket holds. */
const bufferedBytesMax = 256_000;
/** Of one message; the rest is counted. */
const rowsShownMax = 20;
const payloadBytesShownMax = 1_000;

class Watcher extends Readable {
  readonly stream: string | undefined;
  #dropped = 0;

  constructor(stream: string | undefined) {
    super({ highWaterMark: bufferedBytesMax });
    this.stream = stream;
  }

  override _read(): void {
    this.#tellDropped();
  }

  isFull(): boolean {
    if (this.readableLength < bufferedBytesMax) return false;
    this.#dropped++;
    return true;
  }

  show(line: string): void {
    this.#tellDropped();
    this.push(line);
  }

  #tellDropped(): void {
    if (this.#dropped === 0 || this.readableLength >= bufferedBytesMax) return;
    this.push(`{"dropped":${this.#dropped}}\n`);
    this.#dropped = 0;
  }
}

export class LiveTail implements RouteListener {
  readonly #router: Router;
  readonly #streams: readonly string[];
  readonly #watchers = new Set<Watcher>();

  constructor(router: Router, streams: readonly string[]) {
    this.#router = router;
    this.#streams = streams;
  }

  /** Lines from now on; of one stream, or of all. @throws Failure `bad_param`, `overloaded` */
  watch(stream: string | undefined): Readable {
    if (stream !== undefined && !this.#streams.includes(stream))
      throw new Failure('bad_param', `there is no stream "${stream}"`, {
        hint: `the streams are ${this.#streams.join(', ')}`,
      });
    if (this.#watchers.size >= watchersMax)
      throw new Failure('overloaded', `${watchersMax} others watch already`, { hint: 'end one of them' });
    const watcher = new Watcher(stream);
    this.#watchers.add(watcher);
    this.#router.listener = this;
    watcher.once('close', () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#router.listener = undefined;
    });
    return watcher;
  }

  onRows(message: LoggedMessage, stream: string, mapped: MappedRows): void {
    this.#show(stream, () => formatRows(message, stream, mapped));
  }

  onRefused(message: LoggedMessage, refusals: readonly StreamRefusal[]): void {
    for (const refusal of refusals)
      this.#show(refusal.stream ?? undefined, () => formatRefusal(message, refusal));
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.push(null);
  }

  #show(stream: string | undefined, format: () => string): void {
    let line: string | undefined;
    for (const watcher of this.#watchers) {
      if (watcher.stream !== undefined && watcher.stream !== stream) continue;
      if (!watcher.isFull()) watcher.show((line ??= format()));
    }
  }
}

function formatRows(message: LoggedMessage, stream: string, mapped: MappedRows): string {
  const rows = Array.from({ length: Math.min(mapped.rowCount, rowsShownMax) }, (_, row) =>
    describeRow(mapped, row),
  );
  const more = mapped.rowCount - rows.length;
  return toLine({ ...placeOf(message), stream, rows, ...(more > 0 && { more_rows: more }) });
}

function describeRow(mapped: MappedRows, row: number) {
  const tags: Record<string, string> = {};
  for (let at = mapped.tagStarts[row] ?? 0; at < (mapped.tagEnds[row] ?? 0); at++)
    tags[mapped.tagNames[at] ?? ''] = mapped.tagValues[at] ?? '';
  const fields: Record<string, unknown> = {};
  for (let at = mapped.fieldStarts[row] ?? 0; at < (mapped.fieldEnds[row] ?? 0); at++) {
    const value = mapped.values[at];
    fields[mapped.columns[at]?.name ?? ''] = typeof value === 'bigint' ? String(value) : value;
  }
  return { table: mapped.tables[row], time: formatTimeUs(mapped.timesUs[row] ?? 0), tags, fields };
}

function formatRefusal(message: LoggedMessage, { stream, code, reason }: StreamRefusal): string {
  const payload = Buffer.from(message.payload.subarray(0, payloadBytesShownMax)).toString('utf8');
  return toLine({ ...placeOf(message), stream, refused: { code, reason }, payload });
}

function placeOf({ seq, source, topic, arrivedMs }: LoggedMessage) {
  return { seq, arrived: new Date(arrivedMs).toISOString(), source, topic };
}

function toLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** ISO 8601 with microseconds where there are any. A time far off the calendar stays a number. */
export function formatTimeUs(us: number): string {
  const ms = Math.floor(us / 1_000);
  const rest = us - ms * 1_000;
  if (Math.abs(ms) > 8.64e15) return String(us);
  const text = new Date(ms).toISOString();
  return rest === 0 ? text : text.replace('Z', `${String(rest).padStart(3, '0')}Z`);
}
