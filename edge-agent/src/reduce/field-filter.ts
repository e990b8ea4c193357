/**
 * Which values of one field of one series are kept. Pure: state and reading in, decision and state out.
 *
 * `deadband` keeps a value that differs enough from the last one kept. `swinging_door` (Bristol, 1987) keeps the ends of
 * straight lines: from the last value kept, two doors open as far as the deviation allows; while every value since lies
 * between them, one line passes all; when they are parallel, the value before the current one is kept, and the next line
 * begins there. That one came before: it is held until then.
 *
 * A reading that is older than what has been kept is kept too: it cannot be judged any more.
 */
import type { FilterRule } from './reduce-config.js';

export interface Point {
  readonly timeUs: number;
  readonly value: number;
}

export interface FilterState {
  /** The last value kept. */
  readonly kept: Point;
  /** Of a swinging door: the newest value, in case it becomes the end of the line; undefined: it is the one kept. */
  readonly held?: Point | undefined;
  /** Steepest allowed slopes, per microsecond, of lines from the one kept. */
  readonly lowest?: number;
  readonly highest?: number;
}

export interface Decision {
  readonly state: FilterState;
  readonly keepsHeld: boolean;
  readonly keepsReading: boolean;
}

export function filterReading(
  state: FilterState | undefined,
  reading: Point,
  rule: FilterRule,
  heartbeatUs: number,
): Decision {
  if (!state) return keep(reading);
  const newestUs = state.held?.timeUs ?? state.kept.timeUs;
  if (reading.timeUs <= newestUs) return { state, keepsHeld: false, keepsReading: true };
  const isLong = reading.timeUs - state.kept.timeUs >= heartbeatUs;
  if (rule.kind === 'deadband')
    return isLong || isFar(state.kept.value, reading.value, rule)
      ? keep(reading)
      : { state, keepsHeld: false, keepsReading: false };
  // The line ends at the reading itself, if it passes what is held.
  const swung = swing(state, reading, rule.deviation);
  if (swung) return isLong ? keep(reading) : { state: swung, keepsHeld: false, keepsReading: false };
  const turned = swing({ kept: state.held ?? state.kept }, reading, rule.deviation);
  const next = isLong || !turned ? keep(reading).state : turned;
  return { state: next, keepsHeld: state.held !== undefined, keepsReading: isLong || !turned };
}

/** What is held has waited for so long that it is kept, as the last value of a series that has gone silent. */
export function flushHeld(state: FilterState): FilterState {
  return { kept: state.held ?? state.kept };
}

function keep(reading: Point): Decision {
  return { state: { kept: reading }, keepsHeld: false, keepsReading: true };
}

function isFar(kept: number, value: number, rule: FilterRule & { readonly kind: 'deadband' }): boolean {
  const distance = Math.abs(value - kept);
  return distance > ('absolute' in rule ? rule.absolute : rule.share * Math.abs(kept));
}

/** The doors after the reading; undefined where no line passes all any more. */
function swing(state: FilterState, reading: Point, deviation: number): FilterState | undefined {
  const { kept, lowest = -Infinity, highest = Infinity } = state;
  const elapsedUs = reading.timeUs - kept.timeUs;
  const slope = (reading.value - kept.value) / elapsedUs;
  // A line to the reading itself must pass all that came before.
  if (slope < lowest || slope > highest) return undefined;
  return {
    kept,
    held: reading,
    lowest: Math.max(lowest, slope - deviation / elapsedUs),
    highest: Math.min(highest, slope + deviation / elapsedUs),
  };
}
