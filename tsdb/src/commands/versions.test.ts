import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { dataFileKey, probeKey } from '@varve/common/contract/object-keys.js';
import { isFailure } from '@varve/common/errors.js';
import { openStore } from '@varve/common/store/open-store.js';
import { ourProtocol, type Action } from '../delta/actions.js';
import { DeltaLog } from '../delta/delta-log.js';
import { createMetaData } from '../delta/table-metadata.js';
import type { TsdbConfig } from '../config.js';
import { printPin, printRestore, printUnpin, printVacuum, printVersions } from './versions.js';

const name = { database: 'main', table: 'climate' };
let folder: string;
let config: TsdbConfig;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-versions-'));
  config = { store: { url: folder } } as TsdbConfig;
  const store = await openStore(config.store, { access: 'full', probeKey, clock: systemClock });
  const log = new DeltaLog(store, systemClock);
  const metaData = createMetaData(name, { columns: { tags: [], fields: [] } }, 0);
  for (const version of [0, 1, 2]) {
    const path = `day=2026-11-20/part-${version}.parquet`;
    await store.put(dataFileKey(name, path), new Uint8Array(10));
    const created: Action[] = version === 0 ? [{ protocol: ourProtocol }, { metaData }] : [];
    const add = {
      path,
      partitionValues: { day: '2026-11-20' },
      size: 10,
      modificationTime: 0,
      dataChange: true,
    };
    const summary = { operationParameters: {}, operationMetrics: {}, isBlindAppend: true };
    await log.commit(name, version, { operation: 'STREAMING UPDATE', ...summary }, [...created, { add }]);
  }
  store.close();
});

after(() => rm(folder, { recursive: true }));

test('versions are listed, pinned, restored and vacuumed from the command line', async () => {
  assert.match(await printPin(config, 'climate', 1), /version 1 of climate stays/);
  const listed = await printVersions(config, 'climate', { limit: 2, json: false });
  assert.match(
    listed,
    /2 {2}\d{4}-.*STREAMING UPDATE {2}varve-tsdb\n.*1 .*pinned\nthe oldest that can be read is 0; pinned: 1\n$/,
  );
  const options = { version: 0, json: false };
  assert.match(await printRestore(config, 'climate', { ...options, dryRun: true }), /2 go; nothing was done/);
  assert.match(await printRestore(config, 'climate', { ...options, dryRun: false }), /by version 3: .* 2 go/);
  assert.match(await printUnpin(config, 'climate', 1), /goes when/);
  const vacuum = { olderThanMs: undefined, dryRun: true, force: false, json: true };
  assert.match(
    await printVacuum(config, 'climate', vacuum),
    /"files_needed":3,"files_too_young":0,"files_deleted":0/,
  );
  await assert.rejects(printVersions(config, 'nothing', { limit: 1, json: true }), (error) =>
    isFailure(error, 'table_not_found'),
  );
});
