/**
 * `varve-edge tail --replay-dead`: dead letters go through the agent again, after its configuration was mended.
 *
 * 1. Page by page, of the letters there are at the beginning: try each (`try-letter.ts`). A dry run ends here. 2. One
 * transaction of the log makes messages of those that some stream can read, and deletes the letters: the commit point
 * (`log/letter-replay.ts`). 3. The pump reads them like others. Killed anywhere, each letter is either still a letter or a
 * message of the log, so whoever runs it again finishes it.
 *
 * While the buffer is full it is refused. It takes no room: what is appended is deleted as letters.
 */
import type { Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import type { BufferKeeper } from '../buffer/buffer-keeper.js';
import { Router } from '../decode/router.js';
import type { StreamConfig } from '../decode/stream-config.js';
import type { EdgeLog } from '../log/edge-log.js';
import type { EdgeMetrics } from '../metrics.js';
import type { Pump } from '../ship/pump.js';
import { Turns } from '../turns.js';
import { tryLetter, type LetterTrial } from './try-letter.js';

/** Of 64 KB at most: what is in memory at once. */
const pageLetters = 100;
/** A reason quotes what a sensor sent: one example for each stream and code. */
const exampleChars = 300;

export interface ReplayOptions {
  readonly streams: readonly StreamConfig[];
  readonly log: Pick<EdgeLog, 'opened' | 'sizes' | 'deadLettersFrom' | 'replayDeadLetters'>;
  readonly keeper: Pick<BufferKeeper, 'facts'>;
  readonly pump: Pick<Pump, 'nextSeq' | 'wake' | 'noteLosses'>;
  readonly clock: Clock;
  readonly metrics: Pick<EdgeMetrics, 'losses'>;
}

export interface ReplayQuestion {
  /** Only letters that this stream refused, or is to read now. */
  readonly stream: string | undefined;
  readonly isDryRun: boolean;
}

/** Of `POST /dead-letters/replay`. In a dry run, what would be. */
export interface ReplayReport {
  readonly dry_run: boolean;
  /** Looked at. */
  readonly letters: number;
  /** Those that are none any more. */
  readonly replayed: number;
  readonly read_by: Record<string, { messages: number; rows: number }>;
  /** By stream and code, with one reason of them. They stay dead letters. */
  readonly still_refused: {
    readonly stream: string | null;
    readonly code: string;
    messages: number;
    readonly reason: string;
  }[];
}

export class LetterReplayer {
  readonly #options: ReplayOptions;
  readonly #turns = new Turns();

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** One at a time. When `signal` aborts it ends early. @throws Failure `bad_param`, `overloaded`, `disk_full` */
  async replay(question: ReplayQuestion, signal: AbortSignal): Promise<ReplayReport> {
    const names = this.#options.streams.map(({ name }) => name);
    const { stream } = question;
    if (stream !== undefined && !names.includes(stream))
      throw new Failure('bad_param', `there is no stream "${stream}"`, {
        hint: `the streams are ${names.join(', ')}`,
      });
    return await this.#turns.run(() => this.#replayAll(question, signal));
  }

  async #replayAll(question: ReplayQuestion, signal: AbortSignal): Promise<ReplayReport> {
    const { log, streams, pump } = this.#options;
    const report = { letters: 0, replayed: 0, read_by: {}, still_refused: [] };
    const found: Mutable<ReplayReport> = { dry_run: question.isDryRun, ...report };
    const router = new Router(streams, log.opened.nextShipmentSeqs);
    // What is refused once more becomes a letter with a higher number, and is not looked at again.
    const { endSeq } = await log.sizes(pump.nextSeq);
    let fromSeq = 0;
    while (!signal.aborted) {
      const page = await log.deadLettersFrom(fromSeq, endSeq, pageLetters);
      const last = page.at(-1);
      if (!last) break;
      fromSeq = last.seq + 1;
      const trials = page
        .map((letter) => tryLetter(letter, router))
        .filter((trial) => question.stream === undefined || concerns(trial, question.stream));
      for (const trial of trials) addTrial(found, trial);
      if (!question.isDryRun) await this.#commit(trials);
    }
    return found;
  }

  async #commit(trials: readonly LetterTrial[]): Promise<void> {
    const { log, pump, clock, metrics } = this.#options;
    const readable = trials.filter(({ readBy }) => readBy.size > 0);
    if (readable.length === 0) return;
    this.#requireRoom();
    const letters = readable.map(({ letter: { seq }, readBy, left }) => ({
      ...{ seq, readBy: [...readBy.keys()] },
      left,
    }));
    const losses = await log.replayDeadLetters({ letters, nowMs: clock.nowMs() });
    for (const { kind, count } of losses) metrics.losses.inc({ kind }, count);
    if (losses.length > 0) pump.noteLosses();
    else pump.wake();
  }

  #requireRoom(): void {
    const { state, reason } = this.#options.keeper.facts();
    if (state === 'collecting') return;
    throw new Failure('overloaded', `the buffer is full: ${reason ?? ''}`, {
      hint: 'wait until the store has taken what waits, or raise buffer.max_size; what was replayed so far stays so: run it again then',
    });
  }
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A letter that nobody wanted concerns the stream that reads it now. */
function concerns({ letter, readBy }: LetterTrial, stream: string): boolean {
  return letter.refusedBy.includes(stream) || readBy.has(stream);
}

function addTrial(report: Mutable<ReplayReport>, { readBy, left }: LetterTrial): void {
  report.letters++;
  if (readBy.size > 0 && !left) report.replayed++;
  for (const [stream, rows] of readBy) {
    const sum = (report.read_by[stream] ??= { messages: 0, rows: 0 });
    sum.messages++;
    sum.rows += rows;
  }
  if (!left) return;
  const { stream, code, reason } = left;
  const known = report.still_refused.find((other) => other.stream === stream && other.code === code);
  if (known) known.messages++;
  else report.still_refused.push({ stream, code, messages: 1, reason: reason.slice(0, exampleChars) });
}
