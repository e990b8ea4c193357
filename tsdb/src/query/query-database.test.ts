import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { QueryDatabase, type QuerySlot } from './query-database.js';

let folder = '';
let database: QueryDatabase;
let slot: QuerySlot;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'query-database-'));
  for (const name of ['readable', 'readable-not']) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'x.csv'), 'a,b\n1,2\n');
  }
  database = await QueryDatabase.open({
    slotsMax: 2,
    memoryBytesMax: 256e6,
    spillFolder: join(folder, 'spill'),
    spillBytesMax: 1e9,
    readableFolders: [join(folder, 'readable', '/')],
  });
  slot = database.takeSlot();
});
after(async () => {
  database.giveBack(slot);
  await database.close();
  await rm(folder, { recursive: true });
});

const run = (sql: string) => slot.connection.run(sql.replaceAll('FOLDER', folder));
test('reads what it may read', async () => {
  assert.equal((await run("from 'FOLDER/readable/x.csv'")).columnCount, 2);
});

const outside = [
  "from 'FOLDER/readable-not/x.csv'",
  "from 'FOLDER/readable/../readable-not/x.csv'",
  "from read_text('/etc/hostname')",
  "from read_blob('/etc/hostname')",
  "from glob('FOLDER/*')",
  "copy (select 1) to 'FOLDER/x.csv'",
  "attach 'FOLDER/x.db'",
  "export database 'FOLDER/x'",
  'install httpfs',
  'load httpfs',
  "load 'FOLDER/readable/x'",
];
const settings = [
  "set allowed_directories = ['/']",
  'set enable_external_access = true',
  'set lock_configuration = false',
  'set errors_as_json = false',
  "set memory_limit = '100GB'",
  "set temp_directory = '/tmp'",
  'set threads = 99',
  "set TimeZone = 'CET'",
  "set streaming_buffer_size = '1TB'",
  'set autoload_known_extensions = true',
  'set autoinstall_known_extensions = true',
  'reset memory_limit',
  'pragma threads = 99',
];
for (const sql of outside)
  test(`nothing outside, also behind the guard: ${sql}`, () => assert.rejects(run(sql), /Permission/));
for (const sql of settings)
  test(`no other settings, also behind the guard: ${sql}`, () => assert.rejects(run(sql), /locked/));

test('slots do not see each other', async () => {
  const other = database.takeSlot();
  await other.connection.run('create view t as select 1');
  await assert.rejects(run('from t'), /does not exist/);
  database.giveBack(other);
});

test('clears away what an earlier run spilled', async () => {
  const spillFolder = join(folder, 'old-spill');
  await mkdir(spillFolder);
  await writeFile(join(spillFolder, 'left'), 'x');
  const fresh = await QueryDatabase.open({
    slotsMax: 1,
    memoryBytesMax: 256e6,
    spillFolder,
    spillBytesMax: 1e9,
    readableFolders: [],
  });
  assert.deepEqual(await readdir(spillFolder), []);
  await fresh.close();
});
