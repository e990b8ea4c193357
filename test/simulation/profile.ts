/**
 * What a schedule is like: how large everything is, and what goes wrong how often. Each sort of trouble is there in some
 * schedules only, so that one does not hide another.
 */
import type { Random } from '../torture/seeded-random.js';
import { wholeBetween } from '../torture/seeded-random.js';

export interface Profile {
  readonly messages: number;
  /** Until everything heals. */
  readonly troubledSteps: number;
  readonly receiveMaximum: number;
  readonly groupMessages: number;
  readonly everyMs: number;
  readonly rowsMax: number;
  readonly liveFirst: boolean;
  readonly outboxBytesMax: number;
  readonly bufferBytesMax: number;
  readonly onFull: 'drop_oldest' | 'stop_reading';
  readonly bytesPerSecondMax: number | undefined;
  /** Of rows in open windows of aggregates. */
  readonly openBytesMax: number;
  /** As `raw: keep` of a stream. */
  readonly keepMs: number | undefined;
  /** Series and fields that reducers remember. */
  readonly cellsMax: number;
  /** Chances of each step. */
  readonly chances: {
    readonly crash: number;
    readonly stop: number;
    readonly cut: number;
    readonly sessionLost: number;
    readonly timePasses: number;
    readonly clockSet: number;
    readonly outage: number;
    /** The configuration is mended, and then each time: dead letters are replayed. Where at all, both when all heals, too. */
    readonly mended: number;
  };
  /** Chances of each request or write. */
  readonly storeTrouble: number;
  readonly logRefuses: number;
  readonly diskFull: number;
  /** Of each start. */
  readonly damage: number;
}

export function chooseProfile(random: Random): Profile {
  const oneOf = <T>(...choices: readonly [T, ...T[]]): T =>
    choices[Math.floor(random() * choices.length)] ?? choices[0];
  const sometimes = (chance: number): number => (random() < 0.5 ? chance : 0);
  // Most faults need little to show; some need a backlog.
  const isLong = random() < 0.07;
  return {
    messages: isLong ? wholeBetween(random, 12, 40) : wholeBetween(random, 2, 9),
    troubledSteps: isLong ? wholeBetween(random, 100, 300) : wholeBetween(random, 15, 90),
    receiveMaximum: oneOf(1, 3, 8),
    groupMessages: oneOf(1, 3, 10),
    everyMs: oneOf(100, 1_000, 10_000),
    rowsMax: oneOf(1, 3, 10),
    liveFirst: random() < 0.7,
    outboxBytesMax: oneOf(150, 500, 1e9),
    bufferBytesMax: oneOf(250, 600, 1e9),
    onFull: oneOf('drop_oldest', 'drop_oldest', 'stop_reading'),
    bytesPerSecondMax: oneOf(undefined, undefined, 1_000),
    openBytesMax: oneOf(0, 100, 1e9),
    keepMs: oneOf(undefined, 5_000, 1e9),
    cellsMax: oneOf(1e6, 1e6, 1e6, 0),
    chances: {
      crash: sometimes(oneOf(0.005, 0.02, 0.05)),
      stop: sometimes(0.004),
      cut: sometimes(0.02),
      sessionLost: sometimes(0.002),
      timePasses: sometimes(0.03),
      clockSet: sometimes(0.003),
      outage: sometimes(0.02),
      mended: sometimes(0.01),
    },
    storeTrouble: sometimes(0.2),
    logRefuses: sometimes(0.1),
    diskFull: sometimes(0.1),
    damage: sometimes(0.5),
  };
}
