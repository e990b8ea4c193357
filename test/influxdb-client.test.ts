/**
 * What InfluxData's own client writes as line protocol is read back exactly: escapes, 64-bit integers, nanoseconds.
 *
 * The client cannot write everything: a backslash in a name or tag stands for itself there, so before a character that it
 * escapes, or at the end, it means something else to every reader. Such names are left out.
 */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Point } from '@influxdata/influxdb-client';
import fc from 'fast-check';
import { DecodedRows, type Scalar } from '@varve/edge-agent/decode/decoded-rows.js';
import { lineProtocolDecoder } from '@varve/edge-agent/decode/line-protocol.js';

type Field =
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'long'; readonly value: bigint; readonly isUnsigned: boolean }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string };

const character = fc.oneof(
  fc.constantFrom(',', ' ', '=', '"', '\\', '\n', '\r', '\t', '#', 'n', 'i', 'u', '.', 'ü', '🚀'),
  fc.string({ minLength: 1, maxLength: 1 }),
);
const text = fc.string({ unit: character, minLength: 1, maxLength: 8 });
const isText = (value: string) => Buffer.from(value).toString() === value;
const isWritable = (name: string) =>
  !/\\([,= \n\r\tnrt]|$)/.test(name) &&
  // Lone surrogates are no text, and the client's own object takes this key for its prototype.
  isText(name) &&
  name !== '__proto__';
const name = text.filter(isWritable);
/** A # at its beginning would make the line a comment. */
const measurement = name.filter((one) => !one.startsWith('#'));
const names = <T>(values: fc.Arbitrary<T>, minKeys = 0) =>
  fc
    .uniqueArray(fc.tuple(name, values), { minLength: minKeys, maxLength: 4, selector: ([key]) => key })
    .map((entries) => new Map(entries));

const field: fc.Arbitrary<Field> = fc.oneof(
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value) => ({ kind: 'double', value: value + 0 }) as const),
  fc
    .bigInt({ min: 0n, max: 2n ** 64n - 1n })
    .map((value) => ({ kind: 'long', value, isUnsigned: true }) as const),
  // The client makes a double of a signed integer before it writes it.
  fc.maxSafeInteger().map((value) => ({ kind: 'long', value: BigInt(value), isUnsigned: false }) as const),
  fc.boolean().map((value) => ({ kind: 'boolean', value }) as const),
  text.filter(isText).map((value) => ({ kind: 'string', value }) as const),
);

function addField(point: Point, key: string, { kind, ...rest }: Field): void {
  const { value } = rest;
  if (kind === 'double') point.floatField(key, value);
  else if (kind === 'boolean') point.booleanField(key, value);
  else if (kind === 'string') point.stringField(key, value);
  else if ((rest as { isUnsigned: boolean }).isUnsigned) point.uintField(key, String(value));
  else point.intField(key, Number(value));
}

function expectedValue({ kind, value }: Field): Scalar {
  if (kind !== 'long') return value;
  if (value >= 2n ** 63n) return String(value);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

const points = fc.record({
  measurement,
  tags: names(name),
  fields: names(field, 1),
  time: fc.bigInt({ min: -(2n ** 63n) + 2n, max: 2n ** 63n - 2n }),
});

test('a point that the client writes is read back exactly', () => {
  const decode = lineProtocolDecoder();
  const rows = new DecodedRows();
  fc.assert(
    fc.property(fc.array(points, { minLength: 1, maxLength: 3 }), (written) => {
      const payload = written.map((one) => {
        const point = new Point(one.measurement);
        for (const [key, value] of one.tags) point.tag(key, value);
        for (const [key, value] of one.fields) addField(point, key, value);
        return point.timestamp(String(one.time)).toLineProtocol();
      });
      rows.clear();
      const refusal = decode(Buffer.from(payload.join('\n')), rows);
      assert.equal(refusal, undefined, refusal?.reason);
      assert.equal(rows.rowCount, written.length);
      for (const [row, one] of written.entries()) {
        assert.equal(rows.measurements[row], one.measurement);
        assert.equal(BigInt(rows.times[row] ?? 0), one.time);
        const found = Array.from({ length: (rows.ends[row] ?? 0) - (rows.starts[row] ?? 0) }, (_, index) => {
          const at = (rows.starts[row] ?? 0) + index;
          return { name: rows.names[at], value: rows.values[at], isTag: rows.kinds[at] === 'tag' };
        });
        const expected = [
          ...[...one.tags].map(([key, value]) => ({ name: key, value, isTag: true })),
          ...[...one.fields].map(([key, value]) => ({
            name: key,
            value: expectedValue(value),
            isTag: false,
          })),
        ];
        const byPlace = (a: { name?: string | undefined; isTag: boolean }, b: typeof a) =>
          Number(b.isTag) - Number(a.isTag) || ((a.name ?? '') < (b.name ?? '') ? -1 : 1);
        assert.deepEqual(found.sort(byPlace), expected.sort(byPlace));
      }
    }),
    { numRuns: 20_000 },
  );
});
