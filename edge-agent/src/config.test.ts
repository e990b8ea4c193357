import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { ConfigProblem } from '@varve/common/config/read-config.js';
import { isFailure } from '@varve/common/errors.js';
import { planShipBytesMax, readEdgeConfig, type EdgeConfig } from './config.js';

const example = `agent: press-hall-3
data_dir: ./data
sources:
  plant:
    mqtt: mqtt://127.0.0.1:1883
    topics: ["plant/#"]
streams:
  environment:
    topic: plant/{site}/{device}/environment
    format: json
    time: { path: ts, unit: ms }
store: ./lake
ship:
  every: 10s
  max_rows: 100000
status: { listen: 127.0.0.1:8182 }
`;

async function read(
  context: TestContext,
  text: string,
  { assignments = [], env = {} }: { assignments?: string[]; env?: Record<string, string> } = {},
): Promise<EdgeConfig> {
  const directory = mkdtempSync(join(tmpdir(), 'varve-config-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'edge.yaml');
  writeFileSync(path, text);
  return await readEdgeConfig({ path, assignments, env });
}

async function problems(context: TestContext, text: string, assignments: string[] = []): Promise<string[]> {
  try {
    await read(context, text, { assignments });
  } catch (error) {
    assert(isFailure(error, 'config_invalid'), String(error));
    const found = error.facts['problems'] as ConfigProblem[];
    return found.map(({ line, path, message }) => `${line ?? '-'} ${path}: ${message}`);
  }
  return [];
}

test('the example of the design is right as it stands', async (context) => {
  const config = await read(context, example);
  assert.equal(config.agent, 'press-hall-3');
  assert.deepEqual(config.ship, {
    ...{ everyMs: 10_000, rowsMax: 100_000, bytesMax: 16_000_000 },
    ...{ bytesPerSecondMax: undefined, liveFirst: true, schedule: undefined },
  });
  assert.equal(config.sources[0]?.clientId, 'varve-press-hall-3-plant');
  assert.match(config.store.url, /^\/.*\/lake$/, 'beside the file');
  assert.deepEqual(config.streams[0]?.topic.tags, ['site', 'device']);
  assert.equal(config.streams[0].priority, 0);
  const buffer = { bytesMax: 4e9, ageMaxMs: undefined, keepFreeBytes: undefined, onFull: 'stop_reading' };
  assert.deepEqual(config.buffer, buffer);
});

test('only the agent, a source, a stream and the store must be written', async (context) => {
  const config = await read(
    context,
    'agent: a\nsources: { s: { mqtt: "mqtt://h", topics: [x] } }\nstreams: { t: { topic: x, format: json } }\nstore: s3://bucket/lake\n',
  );
  assert.equal(config.store.url, 's3://bucket/lake');
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 8182 });
});

test('every problem is listed at once, with its line and what to write', async (context) => {
  const text = example
    .replace('press-hall-3', 'Press Hall')
    .replace('mqtt://127', 'http://127')
    .replace('unit: ms', 'unit: minutes')
    .replace('every: 10s', 'evry: 10s');
  const found = await problems(context, text);
  assert.equal(found.length, 4, found.join('\n'));
  assert.match(found[0] ?? '', /^1 agent: use a-z/);
  assert.match(found[1] ?? '', /^5 sources\.plant\.mqtt: write a broker URL/);
  assert.match(found[2] ?? '', /^11 streams\.environment\.time\.unit: write one of s, ms/);
  assert.match(found[3] ?? '', /^14 ship\.evry: is not an option here/);
});

test('what is missing is named', async (context) => {
  const found = await problems(context, 'agent: a\n');
  assert.deepEqual(found.map((line) => line.split(':')[0]?.split(' ')[1]).sort(), [
    'sources',
    'store',
    'streams',
  ]);
});

const single: [what: string, from: string, to: string, message: RegExp][] = [
  ['a duration without a unit', 'every: 10s', 'every: 10', /ship\.every: write a duration such as/],
  ['a duration out of range', 'every: 10s', 'every: 1ms', /ship\.every: is out of range/],
  ['a schedule', 'every: 10s', 'schedule: at two', /ship\.schedule: is no cron expression/],
  ['a size without a unit', 'every: 10s', 'max_bytes: 5000000', /ship\.max_bytes: write a size such as/],
  ['a size that is no window', 'every: 10s', 'max_bytes: 1KB', /ship\.max_bytes: is too small/],
  ['a bandwidth', 'every: 10s', 'bandwidth: 64KB', /ship\.bandwidth: .*write a rate such as 64KB\/s/],
  ['a topic filter', '"plant/#"', '"plant/#/x"', /not an MQTT topic filter/],
  ['a topic template', '{device}', '{Device No}', /write \{device_no\}/],
  ['another format', 'format: json', 'format: xml', /write one of json, value/],
  ['a table name', '  environment:', '  Env-1:', /is not a table name/],
  [
    'the name of the loss ledger',
    '  environment:',
    '  varve_losses:',
    /varve_losses: is the table of the loss/,
  ],
  ['a priority', 'format: json', 'format: json\n    priority: high', /priority: write a whole number/],
  ['a store', './lake', 'ftp://x', /write a folder such as/],
  ['a bucket', './lake', 's3://B', /s3:\/\/bucket\/prefix/],
  [
    'an option with swapped letters',
    'store: ',
    'stroe: ',
    /stroe: is not an option here: did you mean store\?/,
  ],
  [
    'an option of a format',
    'format: json',
    'format: { type: csv, delimeter: ";" }',
    /did you mean delimiter\?/,
  ],
  [
    'an option like no other',
    'every: 10s',
    'pigeons: 2',
    /pigeons: .* remove it, or write one of every, max_rows/,
  ],
  [
    'one value for many',
    'status: { listen: 127.0.0.1:8182 }',
    'status: 8182',
    /status: holds options, .*listen: …/,
  ],
  ['a number as a name', 'press-hall-3', '12', /agent: write a name, .* a number in quotes/],
  ['a port', '127.0.0.1:8182', '127.0.0.1:99999', /status\.listen: .*write an address/],
];
for (const [what, from, to, message] of single)
  test(`${what} that is wrong is explained`, async (context) => {
    assert(example.includes(from));
    assert.match((await problems(context, example.replace(from, to))).join('\n'), message);
  });

const ofAggregates: [what: string, text: string, message: RegExp][] = [
  [
    'rows that are dropped without aggregates',
    'raw: drop',
    /streams\.environment\.raw: drops the rows, and no/,
  ],
  [
    'an aggregate of another table',
    'aggregate: [{ every: 10s }, { every: 1m, table: environment_10s }]',
    /aggregate\.1: writes table environment_10s, as something else does/,
  ],
  [
    'an aggregate of its own table',
    'aggregate: [{ every: 10s, table: environment }]',
    /aggregate\.0: writes table environment, as something else does/,
  ],
];
for (const [what, text, message] of ofAggregates)
  test(`${what} is explained`, async (context) => {
    const stream = example.replace('    format: json', `    format: json\n    ${text}`);
    assert.match((await problems(context, stream)).join('\n'), message);
  });

test('an aggregate whose tag is called part is explained', async (context) => {
  const stream = example
    .replace('{site}', '{part}')
    .replace('    format: json', '    format: json\n    aggregate: [{ every: 10s }]');
  assert.match(
    (await problems(context, stream)).join(''),
    /tags\.part: is the name of a column that aggregates have/,
  );
});

const inBuffer: [what: string, text: string, message: RegExp][] = [
  ['a choice', 'on_full: panic', /buffer\.on_full: write one of drop_oldest, stop_reading/],
  ['a size that is too small', 'max_size: 1MB', /buffer\.max_size: is too small/],
  ['an age', 'max_age: 7', /buffer\.max_age: write a duration such as/],
  ['a reserve', 'keep_free: lots', /buffer\.keep_free: .*write a size such as/],
  ['a reserve that is too small', 'keep_free: 1MB', /buffer\.keep_free: is too small/],
  ['an option', 'max_bytes: 1GB', /buffer\.max_bytes: is not an option here/],
];
for (const [what, text, message] of inBuffer)
  test(`${what} of the buffer that is wrong is explained`, async (context) => {
    assert.match((await problems(context, `${example}buffer: { ${text} }\n`)).join('\n'), message);
  });

const format = 'format: json';
const inStream: [what: string, to: string, message: RegExp][] = [
  [
    'an option of a format',
    'format: { type: csv, delimter: ";" }',
    /format\.delimter: is not an option here/,
  ],
  ['a delimiter', 'format: { type: csv, delimiter: "--" }', /format\.delimiter: write one character/],
  ['columns', 'format: { type: csv, columns: [a, a] }', /format\.columns: every column needs a name/],
  ['a precision', 'format: { type: line_protocol, precision: m }', /format\.precision: write one of s, ms/],
  ['a format by its type', 'format: { type: xml }', /format.*: write one of json, value/],
  ['a field', `${format}\n    fields: { a: int }`, /fields\.a: write one of double, long/],
  ['a rule', `${format}\n    fields: { a: { scale: 0 } }`, /fields\.a\.scale: write a number other than 0/],
  ['decimals', `${format}\n    fields: { a: { round: 1.5 } }`, /fields\.a\.round: write how many decimals/],
  [
    'decimals of a whole number',
    `${format}\n    fields: { a: { decimals: 1, type: long } }`,
    /fields\.a\.decimals: is for doubles, and this is long/,
  ],
  [
    'decimals and round',
    `${format}\n    fields: { a: { decimals: 1, round: 2 } }`,
    /fields\.a\.round: leave it out/,
  ],
  [
    'a rule',
    `${format}\n    reduce: { fields: { a: { deadband: x } } }`,
    /reduce\.fields\.a\.deadband: write a distance/,
  ],
  [
    'two rules',
    `${format}\n    reduce: { fields: { a: { deadband: 1, swinging_door: 1 } } }`,
    /a: write one of deadband/,
  ],
  [
    'nothing to reduce',
    `${format}\n    raw: drop\n    aggregate: [{ every: 1m }]\n    reduce: {}`,
    /reduce: has no rows to reduce/,
  ],
  ['two fields', `${format}\n    fields: { "T 1": {}, t_1: {} }`, /"T 1" would both be the column t_1/],
  ['a field like a tag', `${format}\n    fields: { device: string }`, /fields\.device: is the name of a tag/],
  ['a tag', `${format}\n    tags: { Line: "3" }`, /tags\.Line: is no name for a tag: write line/],
  [
    'a level',
    `${format}\n    tags: { a: { topic: x } }`,
    /tags\.a\.topic: is no level .* \{site\}, \{device\}/,
  ],
  ['a level in a table', `${format}\n    table: "{kind}"`, /table: \{kind\} is no level of the topic/],
  ['a table', `${format}\n    table: Env`, /table: is no name of a table/],
  ['a taken table', `${format}\n    table: varve_losses`, /table: is the table of the loss ledger/],
  ['a number of tables', `${format}\n    max_tables: 0`, /max_tables/],
  ['the switch', `${format}\n    other_fields: keep`, /other_fields: write take or ignore/],
  ['an empty list', `${format}\n    keep: []`, /keep: list at least one/],
];
for (const [what, to, message] of inStream)
  test(`${what} of a stream that is wrong is explained`, async (context) => {
    assert.match((await problems(context, example.replace(format, to))).join('\n'), message);
  });

const inTime: [time: string, message: RegExp][] = [
  ['{ path: ts }', /time\.unit: write unit too/],
  ['{ unit: ms }', /time\.path: write path too/],
  ['{ path: ts, unit: ms, snap: 1 }', /time\.snap: write a duration/],
  ['now', /time: write \{ path: ts, unit: ms \}.* or arrival/],
];
for (const [time, message] of inTime)
  test(`the time ${time} is explained`, async (context) => {
    const text = example.replace('{ path: ts, unit: ms }', time);
    assert.match((await problems(context, text)).join('\n'), message);
  });

test('two streams of one table declare a field alike', async (context) => {
  const other = 'streams:\n  second: { topic: x, format: json, table: environment, fields: { t: long } }';
  const text = example.replace(format, `${format}\n    fields: { t: double }`).replace('streams:', other);
  const [problem] = await problems(context, text);
  assert.match(problem ?? '', /fields\.t: is double here and long in stream second/);
});

test('a stream with all there is', async (context) => {
  const text = example.replace(
    format,
    `format: { type: json, rows: data.readings }
    table: "env_{site}"
    max_tables: 5
    tags: { line: 3, hall: { path: meta.hall }, machine: { topic: device } }
    fields: { temp: { path: t, type: double, scale: 0.1, offset: -40, round: 2 }, n: long }
    keep: [state]
    drop: [fw]
    other_fields: take`,
  );
  const [stream] = (await read(context, text.replace('unit: ms }', 'unit: ms, snap: 1s }'))).streams;
  assert(stream);
  const { topic, ...rest } = stream;
  assert.deepEqual(topic.tags, ['site', 'device']);
  assert.deepEqual(rest, {
    ...{ name: 'environment', database: 'main', priority: 0, tablesMax: 5, otherFields: 'take' },
    format: { type: 'json', rows: 'data.readings' },
    table: { parts: ['env_', 'site', ''], names: ['site'] },
    time: { path: 'ts', unit: 'ms' },
    snapUs: 1_000_000,
    tags: new Map<string, object>([
      ['line', { constant: '3' }],
      ['hall', { path: 'meta.hall' }],
      ['machine', { topic: 'device' }],
    ]),
    fields: new Map<string, object | string>([
      ['temp', { path: 't', type: 'double', scale: 0.1, offset: -40, round: 2 }],
      ['n', 'long'],
    ]),
    ...{ keep: ['state'], drop: ['fw'], raw: 'ship', aggregates: [] },
  });
});

const mqtt = 'mqtt: mqtt://127.0.0.1:1883';
const mqtts = 'mqtt: mqtts://127.0.0.1:8883';
const inTls: [what: string, to: string, message: RegExp][] = [
  ['for a broker without it', `${mqtt}\n    tls: { ca: ca.pem }`, /tls: is for mqtts:\/\/ and wss:/],
  ['without a key', `${mqtts}\n    tls: { cert: a.pem }`, /tls\.key: cert and key go together/],
  ['without its file', `${mqtts}\n    tls: { ca: gone.pem }`, /tls\.ca: is no certificate in PEM \(ENOENT/],
  ['without PEM', `${mqtts}\n    tls: { ca: edge.yaml }`, /tls\.ca: is no certificate in PEM/],
  ['with a switch', `${mqtts}\n    tls: { insecure: true }`, /tls\.insecure: is not an option here/],
];
for (const [what, to, message] of inTls)
  test(`TLS ${what} is explained`, async (context) => {
    assert.match((await problems(context, example.replace(mqtt, to))).join('\n'), message);
  });

test('the buffer as it is written', async (context) => {
  const text = 'buffer: { max_size: 1GB, max_age: 30d, keep_free: 16MB, on_full: drop_oldest }\n';
  const { buffer } = await read(context, example + text);
  const expected = { bytesMax: 1e9, ageMaxMs: 30 * 86_400_000, keepFreeBytes: 16e6, onFull: 'drop_oldest' };
  assert.deepEqual(buffer, expected);
});

test('--set goes over the file, and its mistakes are told too', async (context) => {
  const config = await read(context, example, { assignments: ['ship.every=2s', 'ship.max_rows=5'] });
  assert.deepEqual([config.ship.everyMs, config.ship.rowsMax], [2_000, 5]);
  assert.match((await problems(context, example, ['ship.max_rows=many']))[0] ?? '', /ship\.max_rows/);
  assert.match((await problems(context, example, ['nonsense']))[0] ?? '', /--set/);
});

test('${ENV} is replaced, with a default where one is written, and named where it is missing', async (context) => {
  const text = example.replace('mqtt://127.0.0.1:1883', 'mqtt://${USER_X}:${PASS_X:-p}@127.0.0.1:1883');
  const config = await read(context, text, { env: { USER_X: 'me' } });
  assert.equal(config.sources[0]?.username, 'me');
  assert.equal(config.sources[0].password, 'p');
  assert(!config.sources[0].url.includes('me'), 'the URL carries no secret');
  assert.match((await problems(context, text))[0] ?? '', /^5 .*\$\{USER_X\} is not set/);
});

test('broken YAML is one problem with its line', async (context) => {
  assert.match((await problems(context, 'agent: a\n  b: [\n'))[0] ?? '', /^\d+ : is not valid YAML/);
});

test('a window is bounded by what goes over the line in a minute', async (context) => {
  const config = await read(context, example, { assignments: ['ship.bandwidth=64KB/s'] });
  assert.deepEqual([config.ship.bytesPerSecondMax, config.ship.bytesMax], [64_000, 3_840_000]);
  assert.equal(planShipBytesMax(undefined), 16_000_000);
  assert.equal(planShipBytesMax(1_000), 64_000);
  assert.equal(planShipBytesMax(1e9), 16_000_000);
});
