/**
 * Loaded into every process of the demo before its program: when the demo is gone, however it ended, the process stops in
 * order. The channel to the demo says so, and carries nothing else.
 */
import { isMainThread } from 'node:worker_threads';

const stop = () => process.kill(process.pid, 'SIGTERM');

// Workers load this too, and have no channel.
if (isMainThread) {
  // The demo may have ended before this line was reached.
  if (process.connected) process.on('disconnect', stop);
  else stop();
  // Or the channel alone would keep a process alive that has ended.
  process.channel?.unref();
}
