/**
 * Reads the configuration on a thread that ends then: what reads it – zod, yaml, all schemas – is 10 MB that a running agent has
 * no use for. What comes back is copied by the structured clone algorithm: an `EdgeConfig` is plain data, arrays and Maps.
 */
import { Worker } from 'node:worker_threads';
import type { ConfigSource } from '@varve/common/config/read-config.js';
import type { EdgeConfig } from './config.js';
import { WorkerCaller } from './worker-call.js';

/** @throws what `readEdgeConfig` throws */
export async function readConfigInThread({ path, assignments, env }: ConfigSource): Promise<EdgeConfig> {
  const workerData: ConfigSource = { path, assignments, env: { ...env } };
  const thread = new WorkerCaller(new Worker(new URL('./config-worker.js', import.meta.url), { workerData }));
  try {
    return (await thread.call('read', [])) as EdgeConfig;
  } finally {
    await thread.terminate();
  }
}
