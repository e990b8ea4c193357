/** `varve-edge test`: the demo's configuration has tests, and what is not as expected is shown as a diff. */
import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { edgeProgram, temporaryFolder } from './installation.js';
import { startNode } from './processes.js';

const demoConfig = fileURLToPath(new URL('../../deploy/demo/edge.yaml', import.meta.url));
const config = `agent: a
sources: { plant: { mqtt: "mqtt://127.0.0.1:1", topics: ["plant/#"] } }
streams:
  environment:
    topic: plant/{device}
    format: json
    time: { path: ts, unit: ms }
    aggregate: [{ every: 10s }]
store: ./lake
`;

async function run(context: TestContext, testFile: string, args: readonly string[] = []) {
  const dir = temporaryFolder(context);
  writeFileSync(join(dir, 'edge.yaml'), config);
  writeFileSync(join(dir, 'edge.test.yaml'), testFile);
  const started = startNode(context, edgeProgram, ['test', '--config', 'edge.yaml', ...args], { cwd: dir });
  const { code } = await started.exited;
  return { code, output: started.output };
}

const message = '{ topic: plant/press-1, json: { ts: 1795300040250, t: 21.5, n: 3, on: true } }';
const row = "{ time: '2026-11-21T22:27:20.250Z', device: press-1, t: 21.5, n: 3, on: true }";
/** A test's name, what it expects, and its messages. */
type Written = readonly [what: string, more: string, messages?: string | undefined];

interface Answer {
  readonly passed: number;
  readonly failed: number;
  readonly tests: readonly { readonly difference?: string }[];
}

function fileOf(tests: readonly Written[]): string {
  const texts = tests.map(
    ([what, more, messages = `[${message}]`]) =>
      `  - name: ${what}\n    messages: ${messages}\n${more.replace(/^/gm, '    ')}\n`,
  );
  return `tests:\n${texts.join('')}`;
}

test('the configuration of the demo is right by its own tests', async (context) => {
  const started = startNode(context, edgeProgram, ['test', '--config', demoConfig]);
  assert.equal((await started.exited).code, 0, started.output);
  assert.match(started.output, /\n2 tests: 2 right, 0 wrong\n$/);
});

const right: Written[] = [
  [
    'rows, in any order',
    `rows: { environment: [${row.replace('.250', '.251')}, ${row}] }`,
    `[${message}, ${message.replace('250', '251')}]`,
  ],
  ['a tolerance', `rows: { environment: [${row.replace('21.5', '21.4')}] }\ntolerance: 0.11`],
  ['some columns', 'rows: { environment: [{ t: 21.5 }] }\nother_columns: ignore'],
  [
    'a window, and its mean',
    "windows: { environment_10s: [{ time: '2026-11-21T22:27:20Z', t_count: 1, t_mean: 21.5 }] }",
  ],
  ['a refusal', 'refused: [{ code: not_json }]\nrows: {}', '[{ topic: plant/a, payload: "{" }]'],
  [
    'bytes, and the time they came',
    'refused: [{ code: not_json, topic: plant/a, stream: environment }]',
    "[{ topic: plant/a, base64: /w==, arrived: '2026-01-01T00:00:00Z' }]",
  ],
];
test('rows, windows and refusals may be expected', async (context) => {
  const { code, output } = await run(context, fileOf(right));
  assert.equal(code, 0, output);
  assert.match(output, new RegExp(`\\n${right.length} tests: ${right.length} right, 0 wrong\\n$`));
});

const wrong: [what: string, difference: RegExp, more: string, messages?: string][] = [
  ['a value', /-\s+t: 22\n\+\s+t: 21.5\n/, `rows: { environment: [${row.replace('21.5', '22')}] }`],
  ['a type', /-\s+n: "3"\n\+\s+n: 3\n/, `rows: { environment: [${row.replace('n: 3', "n: '3'")}] }`],
  ['a column that nobody expects', /\+\s+n: 3\n/, `rows: { environment: [${row.replace('n: 3, ', '')}] }`],
  ['a row that nobody expects', /\+environment:/, 'rows: {}'],
  [
    'a row that does not come',
    /-environment:/,
    `rows: { environment: [${row}] }`,
    '[{ topic: x, payload: "1" }]',
  ],
  ['a window', /-\s+t_max: 22\n/, 'windows: { environment_10s: [{ t_max: 22 }] }'],
  ['a refusal that nobody expects', /\+\s+code: "no_stream"/, 'rows: {}', '[{ topic: x, payload: "1" }]'],
];
test('what is not as expected is a difference', async (context) => {
  const all = wrong.map(([what, , more, messages]): Written => [what, more, messages]);
  const { code, output } = await run(context, fileOf(all), ['--json']);
  assert.equal(code, 1, output);
  const { passed, failed, tests } = JSON.parse(output) as Answer;
  assert.deepEqual([passed, failed], [0, wrong.length]);
  for (const [index, [what, difference]] of wrong.entries())
    assert.match(tests[index]?.difference ?? '', difference, what);
});

test('every mistake in a file of tests has its line', async (context) => {
  const { code, output } = await run(
    context,
    'tests:\n  - name: one\n    messages:\n      - topik: x\n    row: {}\n',
  );
  assert.equal(code, 78);
  assert.match(output, /edge\.test\.yaml:4: tests\.0\.messages\.0\.topik: .*did you mean topic\?/);
  assert.match(output, /edge\.test\.yaml:5: tests\.0\.row: .*did you mean rows\?/);
});
