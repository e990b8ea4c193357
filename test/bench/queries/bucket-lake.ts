/** The tables of a lake in a bucket, where `VARVE_TEST_S3` names one (`test/s3/radosgw.sh`); what is put there is deleted at the end. */
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { probeKey, tablesPrefix } from '@varve/common/contract/object-keys.js';
import { openStore } from '@varve/common/store/open-store.js';
import type { Owner } from '../../processes.js';
import type { S3TestStore } from '../../requirements.js';

/** As a configuration of tsdb has it. */
export interface BucketStore {
  readonly url: string;
  readonly endpoint: string;
  readonly path_style: true;
}

/** @param storeFolder that of a lake on this machine */
export async function copyToBucket(
  owner: Owner,
  { endpoint, bucket }: S3TestStore,
  storeFolder: string,
): Promise<BucketStore> {
  const url = `s3://${bucket}/bench-${randomUUID()}`;
  const store = await openStore(
    { url, endpoint, pathStyle: true },
    { access: 'full', probeKey, clock: systemClock },
  );
  owner.after(async () => {
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    await store.delete(keys);
    store.close();
  });
  const files = readdirSync(join(storeFolder, tablesPrefix), { recursive: true, withFileTypes: true });
  for (const file of files) {
    if (!file.isFile()) continue;
    const path = join(file.parentPath, file.name);
    await store.put(path.slice(storeFolder.length + 1), { path });
  }
  return { url, endpoint, path_style: true };
}
