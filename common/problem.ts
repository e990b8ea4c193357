/** What an HTTP client is told about a failure: a problem document (RFC 9457). */
import type { Failure } from './errors.js';
import type { Logger } from './log.js';

export const problemType = 'application/problem+json';

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly document: Readonly<Record<string, unknown>>;
}

/**
 * RFC 9457, plus `code`, `hint` and a plain `error` that clients of other databases look for. Where it is no expected failure,
 * the log has the cause and the client learns only that it was our mistake.
 */
export function describeProblem(failure: Failure | undefined, log: Logger, cause: unknown): Problem {
  if (failure === undefined) {
    log.error({ err: cause }, 'a request failed through a fault of ours');
    const title = 'the server made a mistake; its log says which';
    return {
      status: 500,
      headers: {},
      document: { type: 'about:blank', title, status: 500, code: 'internal', error: title },
    };
  }
  const { status, code, message, hint, facts } = failure;
  if (status >= 500) log.warn({ code, err: failure }, 'a request could not be answered');
  return {
    status,
    headers: failure.kind === 'transient' ? { 'retry-after': '1' } : {},
    document: { type: 'about:blank', title: message, status, code, error: message, hint, ...facts },
  };
}
