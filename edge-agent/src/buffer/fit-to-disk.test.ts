import { strict as assert } from 'node:assert';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import type { BufferConfig } from './buffer-config.js';
import { diskRoom } from './disk-room.js';
import { fitToDisk, planKeepFreeBytes } from './fit-to-disk.js';

const config: BufferConfig = {
  bytesMax: 4e9,
  ageMaxMs: undefined,
  keepFreeBytes: undefined,
  onFull: 'stop_reading',
};

test('what is kept free is a tenth of a small disk, enough for shipping, and 200 MB at most', () => {
  assert.equal(planKeepFreeBytes(32e9), 200e6);
  assert.equal(planKeepFreeBytes(1e9), 100e6);
  assert.equal(planKeepFreeBytes(64e6), 16e6);
});

test('what is configured stays as written', async () => {
  const limits = await fitToDisk({ ...config, keepFreeBytes: 17e6 }, tmpdir());
  assert.deepEqual(limits, { ...config, keepFreeBytes: 17e6 });
});

test('what this disk can never give is a fault of the configuration', async () => {
  const { totalBytes } = await diskRoom(tmpdir());
  // Less than the disk, but reading resumes only clearly above it.
  for (const keepFreeBytes of [totalBytes * 2, totalBytes - 1])
    await assert.rejects(fitToDisk({ ...config, keepFreeBytes }, tmpdir()), (error) => {
      assert(isFailure(error, 'config_invalid'));
      assert.match(error.message, /in all: with buffer\.keep_free .* nothing could ever be read/);
      assert.match(error.hint ?? '', /smaller buffer\.keep_free/);
      return true;
    });
});
