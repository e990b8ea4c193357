/**
 * Every expected failure of both programs, in one table.
 *
 * Our own mistakes are assertions and crash. What the world does to us is a `Failure`: it has a stable `code`, and the
 * code decides the `kind` on which callers switch and the HTTP status that tsdb answers. Ordinary outcomes (nothing to
 * ship, the key exists) are return values and do not appear here.
 *
 * | kind      | means                    | edge                  | tsdb loop            | HTTP |
 * |-----------|--------------------------|-----------------------|----------------------|------|
 * | config    | the operator must mend   | exit 78               | exit 78              | –    |
 * | rejected  | this input is bad        | dead letter, go on    | quarantine, go on    | 4xx  |
 * | transient | the same again may work  | back off, keep buffer | back off             | 503  |
 * | conflict  | somebody was first       | plan again            | plan again           | 409  |
 * | corrupt   | stored bytes are wrong   | set aside, go on      | name the key, go on  | 500  |
 */

export type FailureKind = 'config' | 'rejected' | 'transient' | 'conflict' | 'corrupt';

/** Stable codes: they stand in logs, problem documents and tests. Never rename one; add a new one. */
export const failureTable = {
  config_invalid: { kind: 'config', status: 500 },
  config_unreadable: { kind: 'config', status: 500 },
  data_dir_in_use: { kind: 'config', status: 500 },
  data_dir_mismatch: { kind: 'config', status: 500 },
  port_taken: { kind: 'config', status: 500 },
  store_url_invalid: { kind: 'config', status: 500 },
  store_denied: { kind: 'config', status: 500 },
  store_not_found: { kind: 'config', status: 500 },
  store_without_put_if_absent: { kind: 'config', status: 500 },

  key_invalid: { kind: 'rejected', status: 400 },
  shipment_invalid: { kind: 'rejected', status: 400 },
  bad_request: { kind: 'rejected', status: 400 },
  not_local: { kind: 'rejected', status: 403 },
  bad_param: { kind: 'rejected', status: 400 },
  sql_syntax: { kind: 'rejected', status: 400 },
  sql_invalid: { kind: 'rejected', status: 400 },
  sql_not_allowed: { kind: 'rejected', status: 400 },
  unauthenticated: { kind: 'rejected', status: 401 },
  forbidden: { kind: 'rejected', status: 403 },
  quota_exceeded: { kind: 'rejected', status: 429 },
  table_not_found: { kind: 'rejected', status: 404 },
  query_not_found: { kind: 'rejected', status: 404 },
  job_not_found: { kind: 'rejected', status: 404 },
  route_not_found: { kind: 'rejected', status: 404 },
  version_expired: { kind: 'rejected', status: 410 },
  version_not_found: { kind: 'rejected', status: 404 },
  body_too_large: { kind: 'rejected', status: 413 },
  media_type_unsupported: { kind: 'rejected', status: 415 },
  format_unsupported: { kind: 'rejected', status: 406 },
  result_too_large: { kind: 'rejected', status: 413 },
  memory_limit_exceeded: { kind: 'rejected', status: 422 },
  query_failed: { kind: 'rejected', status: 422 },
  query_cancelled: { kind: 'rejected', status: 499 },

  store_unavailable: { kind: 'transient', status: 503 },
  server_unreachable: { kind: 'transient', status: 503 },
  disk_full: { kind: 'transient', status: 503 },
  data_dir_unusable: { kind: 'transient', status: 503 },
  overloaded: { kind: 'transient', status: 503 },
  query_timeout: { kind: 'transient', status: 504 },
  stopping: { kind: 'transient', status: 503 },

  lease_elsewhere: { kind: 'transient', status: 503 },

  commit_conflict: { kind: 'conflict', status: 409 },

  object_missing: { kind: 'corrupt', status: 500 },
  object_corrupt: { kind: 'corrupt', status: 500 },
  table_unreadable: { kind: 'corrupt', status: 500 },
  log_corrupt: { kind: 'corrupt', status: 500 },
} as const satisfies Record<string, { kind: FailureKind; status: number }>;

export type FailureCode = keyof typeof failureTable;

export interface FailureDetail {
  /** What the person who reads it can do next, in one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** How long the other side asked to be left alone. */
  readonly retryAfterMs?: number | undefined;
  /** Extra members for the problem document and the log line: positions, names, keys. No secrets. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** An expected failure. Add context once, where it is known; switch on `kind`, never on the text. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: FailureCode;
  readonly kind: FailureKind;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: FailureCode, message: string, detail: FailureDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.kind = failureTable[code].kind;
    this.hint = detail.hint;
    this.retryAfterMs = detail.retryAfterMs;
    this.facts = detail.facts ?? {};
  }

  /** The HTTP status of RFC 9457's `status` member. */
  get status(): number {
    return failureTable[this.code].status;
  }
}

export function isFailure(error: unknown, code?: FailureCode): error is Failure {
  return error instanceof Failure && (code === undefined || error.code === code);
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message === '' ? error.name : error.message;
  return String(error);
}

/** The `code` that Node's own errors carry (`ENOENT`, `ENOSPC`, …), if any. */
export function systemCodeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
