/** `clock:` of the configuration: when the gateway's wall clock is believed. */

/** `auto`: see `plan-trust.ts`; `synchronised`: only what has been set from outside; `always`: whatever it says. */
export const trustModes = ['auto', 'synchronised', 'always'] as const;
export type TrustMode = (typeof trustModes)[number];

export interface ClockConfig {
  readonly trust: TrustMode;
  /** How long rows that need a trusted clock wait for it, while the store would take them. */
  readonly patienceMs: number;
}
