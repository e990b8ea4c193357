/**
 * Whether the wall clock can be trusted. Pure.
 *
 * A gateway without a battery starts in 1970, or – worse, since it looks right – at the time of its last shutdown
 * (fake-hwclock, systemd's own clock file), until a time server has set it. So a time that only looks right counts where
 * nobody is going to set the clock, and not where somebody is still expected to. The first of these that holds:
 *
 *     1. configuration    `clock.trust: always`
 *     2. this boot        it was trusted before in this boot
 *     3. synchronised     systemd-timesyncd says so
 *     4. set              it was seen to jump, to a time that may be: later than this program, and than the newest trusted
 *                         time that is stored
 *     5. hardware clock   a clock with a battery of its own says the same, and that time may be
 *     6. plausible        that time may be, and no systemd-timesyncd runs here that has yet to set it
 *
 * With `clock.trust: synchronised` 5 and 6 do not count: for gateways where chrony or ntpd sets the clock.
 * Once trusted, it is followed wherever it goes until the next boot.
 */
import type { TrustMode } from './clock-config.js';

/** This program did not exist before. */
export const programMs = Date.UTC(2026, 0, 1);
/** Less is a time server's fine tuning, or the reading of two clocks one after the other. */
export const stepMsMin = 2_000;
/** A hardware clock tells whole seconds, and drifts. */
const hardwareMsMax = 30_000;

export const trustBases = [
  'configuration',
  'this boot',
  'synchronised',
  'set',
  'hardware clock',
  'plausible',
] as const;
export type TrustBasis = (typeof trustBases)[number];

/** What the system says of its clock. */
export interface ClockEvidence {
  /** systemd-timesyncd has set it in this boot. */
  readonly isSynchronised: boolean;
  /** systemd-timesyncd runs. */
  readonly hasTimesync: boolean;
  /** Wall clock by the hardware clock; undefined where there is none. */
  readonly hardwareMs: number | undefined;
}

export interface ClockReading extends ClockEvidence {
  readonly wallMs: number;
  /** It has just jumped. */
  readonly wasSet: boolean;
}

export interface ClockMemory {
  /** In this boot. */
  readonly wasTrusted: boolean;
  /** The newest trusted time that is stored. */
  readonly trustedMs: number | undefined;
}

/** Either on what the trust is based, or why there is none, for people. */
export type TrustPlan =
  | { readonly basis: TrustBasis; readonly reason?: undefined }
  | { readonly basis: undefined; readonly reason: string };

export function planTrust(reading: ClockReading, memory: ClockMemory, mode: TrustMode): TrustPlan {
  const { wallMs, hardwareMs } = reading;
  if (mode === 'always') return { basis: 'configuration' };
  if (memory.wasTrusted) return { basis: 'this boot' };
  if (reading.isSynchronised) return { basis: 'synchronised' };
  const impossible = whyImpossible(wallMs, memory);
  if (impossible !== undefined) return { basis: undefined, reason: impossible };
  if (reading.wasSet) return { basis: 'set' };
  if (mode === 'synchronised')
    return { basis: undefined, reason: 'nothing has set it yet, and clock.trust is synchronised' };
  if (hardwareMs !== undefined && Math.abs(hardwareMs - wallMs) <= hardwareMsMax)
    return { basis: 'hardware clock' };
  if (reading.hasTimesync) return { basis: undefined, reason: 'systemd-timesyncd has not set it yet' };
  return { basis: 'plausible' };
}

function whyImpossible(wallMs: number, { trustedMs }: ClockMemory): string | undefined {
  const says = `it says ${new Date(wallMs).toISOString()}, `;
  if (wallMs < programMs) return `${says}which is before this program was made`;
  if (trustedMs !== undefined && wallMs < trustedMs)
    return `${says}and this agent has seen ${new Date(trustedMs).toISOString()}`;
  return undefined;
}
