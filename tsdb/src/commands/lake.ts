/**
 * The tables of a store for one command that works on them itself, without the server: what it changes are commits, which
 * are safe beside a running one.
 */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '@varve/common/clock.js';
import { defaultDatabase, probeKey, type TableName } from '@varve/common/contract/object-keys.js';
import { silentLogger } from '@varve/common/log.js';
import { openStore } from '@varve/common/store/open-store.js';
import type { Store } from '@varve/common/store/store.js';
import type { TsdbConfig } from '../config.js';
import { DeltaCatalog } from '../delta/catalog.js';
import { DeltaLog } from '../delta/delta-log.js';
import { findTable, tableNotFound } from '../query/find-table.js';

export interface Lake {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly deltaLog: DeltaLog;
  readonly clock: Clock;
  /** For local files; gone afterwards. */
  readonly folder: string;
}

export async function withLake<Result>(
  config: Pick<TsdbConfig, 'store'>,
  work: (lake: Lake) => Promise<Result>,
): Promise<Result> {
  const clock = systemClock;
  const store = await openStore(config.store, { access: 'full', probeKey, clock });
  const folder = join(tmpdir(), `varve-command-${randomUUID()}`);
  const catalog = new DeltaCatalog(store, clock, silentLogger(), folder);
  try {
    return await work({ store, catalog, deltaLog: new DeltaLog(store, clock), clock, folder });
  } finally {
    await catalog.close();
    store.close();
  }
}

/** @param label `environment`, or `lab.runs`. @throws Failure `table_not_found` naming those that are there */
export async function findTableName({ catalog }: Lake, label: string): Promise<TableName> {
  const [database = '', table = ''] = label.includes('.') ? label.split('.', 2) : [defaultDatabase, label];
  await catalog.refresh();
  const snapshot = findTable(catalog.current(), database, table);
  if (snapshot === undefined) throw tableNotFound(label, catalog.current());
  return snapshot.name;
}
