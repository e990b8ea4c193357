import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../installation.js';
import { Cleanups } from './cleanups.js';
import { SmallDisk, whyNoMounts } from './small-disk.js';

const cleanups = new Cleanups((error) => assert.fail(String(error)));
const reason = whyNoMounts(cleanups);
await cleanups.run();
const options = { skip: reason === undefined ? false : `needs a mount: ${reason}` };

test('a small disk is filled to the last byte, and emptied', options, async () => {
  const folder = temporaryFolder(cleanups);
  const disk = SmallDisk.mount(cleanups, join(folder, 'disk'), 4);
  disk.fill();
  assert.throws(() => writeFileSync(join(disk.path, 'more'), Buffer.alloc(8_192)), { code: 'ENOSPC' });
  disk.empty();
  writeFileSync(join(disk.path, 'more'), Buffer.alloc(8_192));
  assert.equal(await disk.setReadOnly(true), true);
  assert.throws(() => writeFileSync(join(disk.path, 'more'), 'x'), { code: 'EROFS' });
  await cleanups.run();
});

test('the disk below is never filled when somebody unmounts the small one', options, async () => {
  const folder = temporaryFolder(cleanups);
  const disk = SmallDisk.mount(cleanups, join(folder, 'disk'), 4);
  execFileSync('umount', [disk.path]);
  const freeBefore = statfsSync(folder).bavail;
  assert.throws(() => disk.fill(), /somebody unmounted it/);
  assert(statfsSync(folder).bavail > freeBefore / 2);
  await cleanups.run();
});
