/**
 * Calls across threads: one request, one answer, failures arrive as failures. For the agent's workers.
 *
 * A method's arguments and results are copied by the structured clone algorithm; the buffers a caller lists move instead.
 */
import { strict as assert } from 'node:assert';
import type { MessagePort, Worker } from 'node:worker_threads';
import { Failure, type FailureCode } from '@varve/common/errors.js';

interface Request {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: SentError;
}

interface SentError {
  readonly message: string;
  readonly stack: string | undefined;
  readonly failure?: {
    code: FailureCode;
    hint: string | undefined;
    facts: Readonly<Record<string, unknown>>;
  };
}

/** The calling side. When the thread dies, all open calls and all later ones reject. */
export class WorkerCaller {
  readonly #worker: Worker;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #nextId = 1;
  #death: Error | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (answer: Answer) => this.#settle(answer));
    worker.on('error', (error) => this.#die(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', (code) => this.#die(new Error(`the worker thread ended with code ${code}`)));
  }

  call(method: string, args: readonly unknown[], transfer: readonly ArrayBuffer[] = []): Promise<unknown> {
    if (this.#death) return Promise.reject(this.#death);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, method, args } satisfies Request, transfer);
    });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle({ id, result, error }: Answer): void {
    const call = this.#waiting.get(id);
    assert(call, 'a worker answered a call that nobody made');
    this.#waiting.delete(id);
    if (error) call.reject(receiveError(error));
    else call.resolve(result);
  }

  #die(error: Error): void {
    this.#death ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#death);
    this.#waiting.clear();
  }
}

export type WorkerMethods = Readonly<Record<string, (...args: never[]) => unknown>>;

/** The serving side: runs `methods` one call after the other, in the order of arrival. */
export function serveCalls(port: MessagePort, methods: WorkerMethods): void {
  let last = Promise.resolve();
  port.on('message', (request: Request) => {
    last = last.then(async () => port.postMessage(await answer(request, methods)));
  });
}

async function answer({ id, method, args }: Request, methods: WorkerMethods): Promise<Answer> {
  try {
    const run = methods[method];
    assert(run, `no method ${method}`);
    return { id, result: await run(...(args as never[])) };
  } catch (error) {
    return { id, error: sendError(error) };
  }
}

function sendError(error: unknown): SentError {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  if (!(error instanceof Failure)) return { message, stack };
  return { message, stack, failure: { code: error.code, hint: error.hint, facts: error.facts } };
}

function receiveError({ message, stack, failure }: SentError): Error {
  const { code, hint, facts } = failure ?? {};
  const detail = { ...(hint === undefined ? {} : { hint }), ...(facts === undefined ? {} : { facts }) };
  const error = code === undefined ? new Error(message) : new Failure(code, message, detail);
  if (stack !== undefined) error.stack = stack;
  return error;
}
