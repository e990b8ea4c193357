/** `clock:` of the configuration: when the gateway's wall clock is believed. */
import { z } from 'zod';
import { durationMs } from '@varve/common/config/units.js';

/** `auto`: see `plan-trust.ts`; `synchronised`: only what has been set from outside; `always`: whatever it says. */
export const trustModes = ['auto', 'synchronised', 'always'] as const;
export type TrustMode = (typeof trustModes)[number];

export interface ClockConfig {
  readonly trust: TrustMode;
  /** How long rows that need a trusted clock wait for it, while the store would take them. */
  readonly patienceMs: number;
}

export const clockSchema = z
  .strictObject({
    trust: z.enum(trustModes, { error: `write one of ${trustModes.join(', ')}` }).default('auto'),
    patience: durationMs({ minMs: 0, maxMs: 30 * 86_400_000 }).default(600_000),
  })
  .prefault({})
  .transform((raw): ClockConfig => ({ trust: raw.trust, patienceMs: raw.patience }));
