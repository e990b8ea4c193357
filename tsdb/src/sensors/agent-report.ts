/**
 * What an agent's `status.json` says that completeness needs. Pure. Documents are of any version, and of agents that may be
 * wrong or hostile: what is not understood is unknown.
 */
import { z } from 'zod';

export interface AgentReport {
  readonly agent: string;
  /** When the store got the document, by the store's clock. */
  readonly heardMs: number;
  /** Everything that the agent took before this is in the store; undefined where it does not say. */
  readonly shippedToMs: number | undefined;
  readonly startedMs: number | undefined;
  /** Connections to brokers that are broken, and since when. */
  readonly disconnected: readonly { readonly source: string; readonly sinceMs: number }[];
}

const schema = z.looseObject({
  oldest_unshipped_seconds: z.number().min(0).max(1e10).optional(),
  uptime_seconds: z.number().min(0).max(1e10).optional(),
  sources: z
    .record(z.string(), z.looseObject({ connected: z.boolean(), since: z.string().nullish() }))
    .optional()
    .catch(undefined),
});

export function toAgentReport(agent: string, heardMs: number, status: unknown): AgentReport {
  const parsed = schema.safeParse(status);
  const {
    oldest_unshipped_seconds: oldestSeconds,
    uptime_seconds: uptimeSeconds,
    sources = {},
  } = parsed.data ?? {};
  return {
    agent,
    heardMs,
    shippedToMs: oldestSeconds === undefined ? undefined : heardMs - oldestSeconds * 1_000,
    startedMs: uptimeSeconds === undefined ? undefined : heardMs - uptimeSeconds * 1_000,
    disconnected: Object.entries(sources)
      .filter(([, { connected }]) => !connected)
      .map(([source, { since }]) => ({ source, sinceMs: knownMs(since) ?? heardMs })),
  };
}

function knownMs(text: string | null | undefined): number | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}
