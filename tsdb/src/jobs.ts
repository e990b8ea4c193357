/**
 * What runs in the background, or has run: compaction, retention, deletes, vacuum. For people and programs that ask.
 *
 * In memory, of this process. Of every kind the newest `endedMax` that have ended are kept; those that wait or run are
 * bounded by who adds them.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '@varve/common/clock.js';
import { messageOf } from '@varve/common/errors.js';

export type JobKind = 'compaction' | 'retention' | 'delete' | 'vacuum' | 'restore';
export type JobState = 'waiting' | 'running' | 'done' | 'failed';

export interface JobFacts {
  readonly kind: JobKind;
  /** As people call it. */
  readonly table: string;
  /** What was asked for, or is being done. */
  readonly task?: Readonly<Record<string, unknown>>;
  readonly isDryRun?: boolean;
  /** Of a job that has one already. */
  readonly id?: string;
}

export interface Job {
  readonly id: string;
  readonly kind: JobKind;
  readonly table: string;
  readonly state: JobState;
  readonly isDryRun: boolean;
  readonly task: Readonly<Record<string, unknown>>;
  readonly createdMs: number;
  readonly startedMs: number | undefined;
  readonly endedMs: number | undefined;
  /** In whatever the job counts: files, days. */
  readonly progress: { readonly done: number; readonly total: number } | undefined;
  readonly result: Readonly<Record<string, unknown>> | undefined;
  readonly error: string | undefined;
}

export interface JobHandle {
  readonly id: string;
  progress(done: number, total: number): void;
}

type Result = Readonly<Record<string, unknown>>;

const endedMax = 50;

export class JobBook {
  readonly #clock: Clock;
  /** In order of their beginning. */
  readonly #jobs = new Map<string, Job>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The newest first. */
  list(): readonly Job[] {
    return [...this.#jobs.values()].reverse();
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  /** Lets one wait until `run` is called with its id. */
  add({ kind, table, task = {}, isDryRun = false, id = randomUUID() }: JobFacts): Job {
    const job: Job = {
      ...{ id, kind, table, task, isDryRun, state: 'waiting', createdMs: this.#clock.nowMs() },
      ...{
        startedMs: undefined,
        endedMs: undefined,
        progress: undefined,
        result: undefined,
        error: undefined,
      },
    };
    this.#jobs.set(id, job);
    return job;
  }

  /** What `work` throws is in the job, and thrown. */
  async run<R extends Result>(facts: JobFacts, work: (job: JobHandle) => Promise<R>): Promise<R> {
    const id = facts.id !== undefined && this.#jobs.has(facts.id) ? facts.id : this.add(facts).id;
    const change = (changes: Partial<Job>) => {
      const job = this.#jobs.get(id);
      if (job) this.#jobs.set(id, { ...job, ...changes });
    };
    change({ state: 'running', startedMs: this.#clock.nowMs() });
    try {
      const handle = { id, progress: (done: number, total: number) => change({ progress: { done, total } }) };
      const result = await work(handle);
      change({ state: 'done', endedMs: this.#clock.nowMs(), result });
      return result;
    } catch (error) {
      change({ state: 'failed', endedMs: this.#clock.nowMs(), error: messageOf(error) });
      throw error;
    } finally {
      this.#forget(facts.kind);
    }
  }

  #forget(kind: JobKind): void {
    const ended = [...this.#jobs.values()].filter((job) => job.kind === kind && job.endedMs !== undefined);
    for (const { id } of ended.slice(0, -endedMax)) this.#jobs.delete(id);
  }
}
