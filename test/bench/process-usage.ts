/** What a process has used, as Linux counts it in `/proc` (proc(5)): all of its threads together. */
import { readFileSync } from 'node:fs';

export interface ProcessUsage {
  readonly cpuUs: number;
  readonly residentMb: number;
  /** The most it ever had. */
  readonly peakResidentMb: number;
  readonly threads: number;
  /** What it caused to be written to the disk: pages of the file cache that it made dirty, 4 KiB each. */
  readonly writtenBytes: number;
}

/** USER_HZ, which is 100 on every architecture that Node runs on. */
const tickUs = 10_000;

export function readUsage(pid: number | 'self'): ProcessUsage {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    cpuUs: readCpuUs(pid),
    residentMb: numberAfter(status, 'VmRSS:') / 1_024,
    peakResidentMb: numberAfter(status, 'VmHWM:') / 1_024,
    threads: numberAfter(status, 'Threads:'),
    writtenBytes: numberAfter(readFileSync(`/proc/${pid}/io`, 'utf8'), '\nwrite_bytes:'),
  };
}

function readCpuUs(pid: number | 'self'): number {
  // The second field, the name, may hold blanks; `utime` and `stime` are the 14th and 15th.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * tickUs;
}

function numberAfter(text: string, name: string): number {
  const rest = text.slice(text.indexOf(name) + name.length);
  return Number.parseInt(rest, 10);
}
