/**
 * The store under torture. A folder lies on a small disk of its own, which becomes read-only (what a network drive does
 * that lost its server, as programs see it) or full. In front of S3 stands a proxy with weather.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Owner } from '../processes.js';
import type { S3TestStore } from '../requirements.js';
import { calm, startFaultProxy } from './fault-proxy.js';
import type { FaultKind } from './plan-faults.js';
import type { Random } from './seeded-random.js';
import { SmallDisk } from './small-disk.js';

export interface TortureStore {
  /** As `store:` in a configuration file. */
  readonly config: unknown;
  /** Where it can be read by others; undefined for S3. */
  readonly folder: string | undefined;
  /** The faults that it has. Each returns whether it could be caused. */
  readonly faults: ReadonlyMap<FaultKind, () => Promise<boolean> | boolean>;
  /** Ends every fault. */
  heal(): Promise<void> | void;
  /** For people: what happened at the store. */
  describe(): string;
  keepContents(): void;
}

const folderMegabytes = 512;

export function folderUnderTorture(owner: Owner, dir: string, canMount: boolean): TortureStore {
  const folder = join(dir, 'lake');
  if (!canMount) return deniedFolder(folder);
  const disk = SmallDisk.mount(owner, folder, folderMegabytes);
  return {
    config: folder,
    folder,
    faults: new Map<FaultKind, () => Promise<boolean> | boolean>([
      ['store outage', () => disk.setReadOnly(true)],
      [
        'store full',
        () => {
          disk.fill();
          return true;
        },
      ],
    ]),
    heal: async () => {
      await disk.setReadOnly(false);
      disk.empty();
    },
    describe: () => 'a folder on a small disk',
    keepContents: () => disk.keepContents(),
  };
}

/** Without a disk of its own: its owner, not being root, takes away the right to write new objects. */
function deniedFolder(folder: string): TortureStore {
  const temporary = join(folder, '.tmp');
  mkdirSync(temporary, { recursive: true });
  const outage = () => {
    chmodSync(temporary, 0o500);
    return process.getuid?.() !== 0;
  };
  return {
    config: folder,
    folder,
    faults: new Map(process.getuid?.() === 0 ? [] : [['store outage', outage] as const]),
    heal: () => chmodSync(temporary, 0o700),
    describe: () => 'a folder',
    keepContents: () => undefined,
  };
}

export async function s3UnderTorture(
  owner: Owner,
  { endpoint, bucket }: S3TestStore,
  random: Random,
): Promise<TortureStore> {
  const proxy = await startFaultProxy(owner, new URL(endpoint), random);
  const set = (weather: Partial<typeof calm>) => () => {
    proxy.setWeather({ ...calm, ...weather });
    return true;
  };
  const url = `s3://${bucket}/torture-${randomUUID()}`;
  return {
    config: { url, endpoint: proxy.url, region: 'us-east-1', path_style: true },
    folder: undefined,
    faults: new Map<FaultKind, () => boolean>([
      ['store outage', set({ isOut: true })],
      ['store slow', set({ delayMsMax: 2_000 })],
      ['store failing', set({ delayMsMax: 100, slowDown: 0.15, reset: 0.15, lost: 0.15 })],
    ]),
    heal: () => proxy.setWeather(calm),
    describe: () =>
      `${url}: ${[...proxy.fates].map(([fate, count]) => `${count} requests ${fate}`).join(', ')}`,
    keepContents: () => undefined,
  };
}
