/** `buffer:` of the configuration: what the agent may keep while the store is away, and what it does when that is reached. */

export const onFullChoices = ['drop_oldest', 'stop_reading'] as const;
export type OnFull = (typeof onFullChoices)[number];

export interface BufferLimits {
  /** Of log and outbox. */
  readonly bytesMax: number;
  /** Of messages in no shipment and no window; undefined: any. */
  readonly ageMaxMs: number | undefined;
  /** What the agent leaves of the file system to others. */
  readonly keepFreeBytes: number;
  readonly onFull: OnFull;
}

/** As configured: what is absent depends on the disk (`fitToDisk`). */
export interface BufferConfig extends Omit<BufferLimits, 'keepFreeBytes'> {
  readonly keepFreeBytes: number | undefined;
}

/** Less would leave shipping, which empties the buffer, no room for its files. */
export const keepFreeBytesMin = 16_000_000;

/**
 * Bounds that follow from `max_size`. First the parts of the buffer that cannot be dropped: all of them are less than
 * `bytesMax`.
 */
export function shareBytes({ bytesMax }: Pick<BufferLimits, 'bytesMax'>) {
  return {
    /** Finished shipments. */
    outboxBytesMax: Math.min(256_000_000, bytesMax / 4),
    /** Blocks of messages that are in those. */
    stagedLogBytesMax: bytesMax / 4,
    /** The newest blocks, kept to recognise what the broker sends again. */
    recentBytesMax: Math.min(64_000_000, bytesMax / 8),
    /** Messages of the open window. */
    windowBytesMax: Math.min(256_000_000, bytesMax / 16),
    /** Rows of open windows of aggregates, in memory; the messages they were made of stay in the log. */
    openWindowBytesMax: Math.min(16_000_000, bytesMax / 16),
    deadLetterBytesMax: Math.min(32_000_000, bytesMax / 16),
    /** Of blocks, unpacked, in one step of eviction: small enough to take apart between two packets of the network. */
    evictedBytesMax: Math.min(1_000_000, bytesMax / 50),
  };
}
