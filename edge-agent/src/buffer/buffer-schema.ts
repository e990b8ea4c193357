/** How `buffer:` is written. */
import { z } from 'zod';
import { durationMs, sizeBytes } from '@varve/common/config/units.js';
import { keepFreeBytesMin, onFullChoices, type BufferConfig } from './buffer-config.js';

export const bufferSchema = z
  .strictObject({
    max_size: sizeBytes({ minBytes: 4_000_000 }).default(4_000_000_000),
    max_age: durationMs({ minMs: 10_000 }).optional(),
    keep_free: sizeBytes({ minBytes: keepFreeBytesMin }).optional(),
    on_full: z
      .enum(onFullChoices, { error: `write one of ${onFullChoices.join(', ')}` })
      .default('stop_reading'),
  })
  .prefault({})
  .transform((raw): BufferConfig => ({
    bytesMax: raw.max_size,
    ageMaxMs: raw.max_age,
    keepFreeBytes: raw.keep_free,
    onFull: raw.on_full,
  }));
