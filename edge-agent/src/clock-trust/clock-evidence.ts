/** What Linux says of its clock, in files; elsewhere there are none, and nothing is said. A few small reads. */
import { randomUUID } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import type { ClockEvidence } from './plan-trust.js';

const bootIdPath = '/proc/sys/kernel/random/boot_id';
/** Made by systemd-timesyncd(8) when it starts, and when it has set the clock; gone with the boot. */
const timesyncPath = '/run/systemd/timesync';
const synchronisedPath = `${timesyncPath}/synchronized`;
/** Seconds since 1970 (kernel, ABI/testing/sysfs-class-rtc). Read from the device each time. */
const hardwareClockPath = '/sys/class/rtc/rtc0/since_epoch';

/** Where the system does not name its boots, each start of the agent counts as one. */
export async function readBootId(): Promise<string> {
  return (await textOf(bootIdPath)) ?? randomUUID();
}

export async function readClockEvidence(): Promise<ClockEvidence> {
  const [isSynchronised, hasTimesync, seconds] = await Promise.all([
    exists(synchronisedPath),
    exists(timesyncPath),
    textOf(hardwareClockPath),
  ]);
  const hardwareMs = seconds === undefined ? Number.NaN : Number(seconds) * 1_000;
  return { isSynchronised, hasTimesync, hardwareMs: Number.isFinite(hardwareMs) ? hardwareMs : undefined };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim() || undefined;
  } catch {
    return undefined;
  }
}
