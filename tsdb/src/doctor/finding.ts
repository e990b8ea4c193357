/** One thing that `varve-tsdb doctor` found, for people and programs. */
export interface Finding {
  readonly kind: 'log' | 'object' | 'statistics' | 'inbox' | 'quarantine';
  /** Absent where it is of no single table. */
  readonly table?: string;
  readonly text: string;
  /** What to do about it. */
  readonly remedy: string;
  /** Mends it; only where that can lose nothing. */
  readonly repair?: () => Promise<void>;
}
