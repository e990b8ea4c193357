/**
 * Which windows of an aggregate are written with the next shipment. Pure.
 *
 * By the clock of the gateway, not by the newest time a sensor sent: a sensor from the future would close the windows of all
 * others. A window is written when the clock has passed its end by the allowed lateness; what comes later is written at
 * once, as one more partial of its window. So the clock decides how many partials there are, and never what they add up to.
 *
 * `closedMs` – all windows that end there or before have been written – is durable, with the shipments it belongs to: after
 * a kill the rows of windows that end later are read again from the log, and only those. Where the clock went back, or too
 * much of the log would have to be kept, all open windows are written as they are, and nothing before is read again.
 */
export interface ClosingState {
  /** Of the last shipment; undefined: none yet. */
  readonly closedMs: number | undefined;
  readonly nowMs: number;
  readonly latenessMs: number;
  /** More is held open than there is room for. */
  readonly isOverfull: boolean;
}

export interface Closing {
  readonly closedMs: number;
  /** All open windows are written, whenever they end. */
  readonly isForced: boolean;
}

export function planClosing({ closedMs, nowMs, latenessMs, isOverfull }: ClosingState): Closing {
  const closableMs = nowMs - latenessMs;
  const wentBack = closedMs !== undefined && closableMs < closedMs;
  // A clock that is put right by little, as time servers do, only makes windows wait a little longer.
  const isForced = isOverfull || (wentBack && closedMs - closableMs > clockStepMs);
  return { closedMs: wentBack && !isForced ? closedMs : closableMs, isForced };
}

const clockStepMs = 60_000;
