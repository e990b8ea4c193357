/**
 * For any bytes a decoder answers with rows or a refusal, never a throw; and so does the router behind it. 100,000 inputs per
 * format: random bytes, and good payloads with bits flipped, cut, spliced and repeated.
 */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { OpenBatches } from './append-rows.js';
import { DecodedRows } from './decoded-rows.js';
import { refusalCodes, Refusal } from './decoder.js';
import { decoderOf, type FormatConfig } from './format.js';
import { Router } from './router.js';
import { streamOf } from './streams.test.fixture.js';

const inputCount = 100_000;
/** Behind the decoder it is the same for all formats. */
const routedOneIn = 10;
const seed = 20_261_122;

const lines = readFileSync(new URL('../../src/decode/golden/line-protocol.lp', import.meta.url), 'utf8');

const formats: [format: FormatConfig, golden: string[]][] = [
  [
    'json',
    [
      '{"ts":1795300046309,"temp":21.5,"on":true,"state":"läuft","none":null,"deep":{"a":{"b":-1e-7}}}',
      '[{"a":1},{"a":2},{"__proto__":{"x":1},"constructor":2}]',
      '{"a":1}\n{"a":2}\n\n{"toString":"x","a":3}\n',
      '"\\u00e9\\ud83d\\ude80"',
    ],
  ],
  [
    { type: 'json', rows: 'data.readings' },
    [
      '{"device":"d","data":{"n":1,"readings":[{"t":1,"v":2},{"t":2,"v":3}]}}',
      '{"data":{"readings":{"a":1}}}',
    ],
  ],
  ['value', ['21.5', 'true', 'off', '-1e308', '🚀', ' 0007 ']],
  ['csv', ['ts,temp,state\n1,21.5,"on, ""really"""\r\n2,,off\n', 'a\n1\n', '"a","b"\n"1\n2",\n']],
  [{ type: 'csv', delimiter: ';', columns: ['ts', 'temp'] }, ['1;2\n3;4\n', ';\n', '1;"2"']],
  ['line_protocol', [lines, ...lines.split('\n').filter((line) => line !== '')]],
  [{ type: 'line_protocol', precision: 's' }, ['m,a=b c=1 1556813561\n', 'm c=1i,d="x\\"y" -5']],
];

/** xorshift32: the same inputs in every run. */
function randomOf(state: number): (below: number) => number {
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function mutate(golden: readonly Buffer[], random: (below: number) => number): Buffer {
  const pick = () => golden[random(golden.length)] ?? Buffer.alloc(0);
  let bytes = Buffer.from(pick());
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(bytes.length + 1);
    const kind = random(6);
    if (kind === 0 && at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
    else if (kind === 1 && at < bytes.length) bytes[at] = random(256);
    else if (kind === 2) bytes = bytes.subarray(0, at);
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), pick().subarray(random(20))]);
    else if (kind === 4)
      bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(bytes.length + 1))]);
    else bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(special(random)), bytes.subarray(at)]);
  }
  return bytes.subarray(0, 4_000);
}

function special(random: (below: number) => number): string {
  const texts = [
    '\\',
    '"',
    '\n',
    '\r',
    ',',
    '=',
    ' ',
    ';',
    '\0',
    '{',
    '[',
    '}',
    '1e999',
    '-',
    '\ud83d',
    '#',
    'i',
    'u',
  ];
  return texts[random(texts.length)] ?? '';
}

function randomBytes(random: (below: number) => number): Buffer {
  return Buffer.from(Array.from({ length: random(40) }, () => random(256)));
}

for (const [format, texts] of formats)
  test(`${JSON.stringify(format)}: any bytes are rows or refused with a reason`, () => {
    const random = randomOf(seed);
    const golden = texts.map((text) => Buffer.from(text));
    const decode = decoderOf(format);
    const rows = new DecodedRows();
    const router = new Router([streamOf({ topic: '#', format })]);
    let decoded = 0;
    for (let index = 0; index < inputCount; index++) {
      const payload = index % 5 === 0 ? randomBytes(random) : mutate(golden, random);
      const shown = () => `input ${index}, seed ${seed}: ${JSON.stringify(payload.toString('latin1'))}`;
      try {
        rows.clear();
        const refusal = decode(payload, rows);
        if (refusal) assertRefusal(refusal);
        else assert(rows.rowCount > 0, 'rows, or a refusal');
        if (index % routedOneIn === 0)
          assert(!isRouted(router, payload) || !refusal, 'no rows of what was refused');
        if (!refusal) decoded++;
      } catch (cause) {
        throw new Error(shown(), { cause });
      }
    }
    // Otherwise nothing but refusals would have been tried.
    assert(decoded > inputCount / 100, `${decoded} of ${inputCount} made rows`);
  });

/** Whether the message made rows; all of them, or none and a refusal. */
function isRouted(router: Router, payload: Uint8Array): boolean {
  const batches: OpenBatches = new Map();
  const refusals = router.route(
    { seq: 1, source: 's', packetId: 0, topic: 't', payload, arrivedMs: 1, arrivedUs: 1_000 },
    batches,
  );
  assert.equal(batches.size === 0, refusals.length > 0, 'all rows, or none');
  return refusals.length === 0;
}

function assertRefusal(refusal: Refusal): void {
  assert(refusal instanceof Refusal);
  assert(refusalCodes.includes(refusal.code));
  assert(refusal.reason.length > 0 && refusal.reason.length < 500, refusal.reason);
}
