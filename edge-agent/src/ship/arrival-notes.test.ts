import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { BlockArrival } from '../log/boots.js';
import { ArrivalNotes, describeShift, isNoteworthy, ToldClocks } from './arrival-notes.js';

const message = (seq: number, arrivedMs: number) => ({
  ...{ seq, arrivedMs, arrivedUs: arrivedMs * 1_000, source: 'plant', topic: 'ab' },
  ...{ payload: Buffer.from('123'), packetId: 0 },
});
const open: BlockArrival = { boot: 3, state: 'open', shiftMs: 0 };
const corrected: BlockArrival = { boot: 3, state: 'corrected', shiftMs: 11_520_000 };

test('messages are counted, with their range, for each stream', () => {
  const notes = new ArrivalNotes();
  notes.add('a', corrected, message(7, 5_000));
  notes.add('b', corrected, message(8, 6_000));
  notes.add('a', corrected, message(9, 4_000));
  const losses = new ToldClocks().lossesOf(notes.all(), 42);
  assert.deepEqual(losses[0], {
    ...{ whenMs: 42, kind: 'clock_corrected', stream: 'a', firstSeq: 7, lastSeq: 9 },
    ...{ firstMs: 4_000, lastMs: 5_000, count: 2, bytes: 10 },
    reason: 'the clock was not set: arrival times are put right by +3 h 12 min',
  });
  assert.equal(losses.length, 2);
});

test('that a clock is not trusted is told once for each stream and boot; corrections always', () => {
  const told = new ToldClocks();
  const kindsOf = (...arrivals: BlockArrival[]) => {
    const notes = new ArrivalNotes();
    for (const arrival of arrivals) notes.add('a', arrival, message(1, 1));
    const kinds = told.lossesOf(notes.all(), 1).map(({ kind }) => kind);
    told.note(notes.all());
    return kinds;
  };
  assert.deepEqual(kindsOf(open, corrected), ['clock_untrusted', 'clock_corrected']);
  assert.deepEqual(kindsOf(open, corrected), ['clock_corrected']);
  assert.deepEqual(kindsOf({ ...open, boot: 4 }), ['clock_untrusted']);
});

const shifts: [number, string][] = [
  [11_520_000, '+3 h 12 min'],
  [-2_000, '-2 s'],
  [400, '+0 s'],
  [20_000 * 86_400_000 + 1_000, '+20000 d 1 s'],
  [90_061_000, '+1 d 1 h'],
];
for (const [ms, text] of shifts) test(`a shift of ${text}`, () => assert.equal(describeShift(ms), text));

test('what was out by less than two seconds was right', () => {
  assert.equal(isNoteworthy({ ...corrected, shiftMs: 1_999 }), false);
  assert.equal(isNoteworthy({ ...corrected, shiftMs: -2_000 }), true);
  assert.equal(isNoteworthy({ boot: 1, state: 'trusted', shiftMs: 0 }), false);
  assert.equal(isNoteworthy(undefined), false);
  assert.equal(isNoteworthy(open), true);
});
