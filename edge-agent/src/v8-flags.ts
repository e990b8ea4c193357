/**
 * How V8 uses memory, for all threads. Run before the program is loaded (`bin/varve-edge.js`): it counts from then on. Flags at
 * run time and not on the command line, so that they hold however the program is started.
 *
 * 1. The young generation stays at its first size. V8 would let it grow to 48 MB per thread on any machine of some gigabytes;
 * at 1,000 messages a second that is 40 MB more for the same processor time. V8 sets this flag back to its least, 2, whenever
 * a thread begins (heap.cc, `ConfigureHeap`), so each of our threads imports this file first. Until it has, the others may
 * grow: only `bin/varve-edge` rules that out.
 *
 * 2. The old generation is collected when it has grown by a fifth, or 8 MB, and not when it is up to four times as large.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=20');
