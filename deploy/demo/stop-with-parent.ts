/**
 * Loaded into every process of the demo before its program: when the demo is gone, however it ended, the process stops in
 * order. The channel to the demo says so, and carries nothing else.
 */
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
// Or the channel alone would keep a process alive that has ended.
process.channel?.unref();
