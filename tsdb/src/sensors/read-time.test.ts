import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTimeMs } from './read-time.js';

const nowMs = Date.parse('2026-01-01T12:00:00Z');
const cases: [text: string, expected: string | undefined][] = [
  ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000Z'],
  ['2026-01-01T01:00:00+01:00', '2026-01-01T00:00:00.000Z'],
  ['2026-01-01T01:00:00 01:00', '2026-01-01T00:00:00.000Z'],
  ['2026-01-01 00:00Z', '2026-01-01T00:00:00.000Z'],
  ['2026-01-01', '2026-01-01T00:00:00.000Z'],
  ['1767225600', '2026-01-01T00:00:00.000Z'],
  ['1767225600000', '2026-01-01T00:00:00.000Z'],
  ['1767225600000000', '2026-01-01T00:00:00.000Z'],
  ['1767225600000000000', '2026-01-01T00:00:00.000Z'],
  ['now', '2026-01-01T12:00:00.000Z'],
  ['-6h', '2026-01-01T06:00:00.000Z'],
  ['now-30m', '2026-01-01T11:30:00.000Z'],
  ['2026-01-01T00:00:00', undefined],
  ['2026-13-01', undefined],
  ['yesterday', undefined],
  ['-6x', undefined],
  ['-99999y', undefined],
  ['', undefined],
];
for (const [text, expected] of cases)
  test(`"${text}" is ${expected ?? 'no instant'}`, () => {
    const ms = readTimeMs(text, nowMs);
    assert.equal(ms === undefined ? undefined : new Date(ms).toISOString(), expected);
  });
