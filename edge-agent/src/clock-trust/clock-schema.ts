/** How `clock:` is written. */
import { z } from 'zod';
import { durationMs } from '@varve/common/config/units.js';
import { trustModes, type ClockConfig } from './clock-config.js';

export const clockSchema = z
  .strictObject({
    trust: z.enum(trustModes, { error: `write one of ${trustModes.join(', ')}` }).default('auto'),
    patience: durationMs({ minMs: 0, maxMs: 30 * 86_400_000 }).default(600_000),
  })
  .prefault({})
  .transform((raw): ClockConfig => ({ trust: raw.trust, patienceMs: raw.patience }));
