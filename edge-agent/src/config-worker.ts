/** The thread that reads the configuration. */
import './v8-flags.js';
import { strict as assert } from 'node:assert';
import { parentPort, workerData } from 'node:worker_threads';
import type { ConfigSource } from '@varve/common/config/read-config.js';
import { readEdgeConfig } from './config.js';
import { serveCalls } from './worker-call.js';

assert(parentPort, 'this file runs as a worker thread');

serveCalls(parentPort, { read: () => readEdgeConfig(workerData as ConfigSource) });
