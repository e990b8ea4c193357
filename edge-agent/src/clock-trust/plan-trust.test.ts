import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { TrustMode } from './clock-config.js';
import { planTrust, programMs, type ClockMemory, type ClockReading, type TrustBasis } from './plan-trust.js';

const nowMs = Date.UTC(2026, 10, 22);
const hour = 3_600_000;
const quiet: ClockReading = {
  ...{ wallMs: nowMs, wasSet: false, isSynchronised: false, hasTimesync: false, hardwareMs: undefined },
};
const pi = { hasTimesync: true };
const seen = (ms: number) => ({ trustedMs: ms });

type Expected = TrustBasis | RegExp;
const cases: [string, Partial<ClockReading>, Partial<ClockMemory>, TrustMode, Expected][] = [
  ['a PC, a server, a container', {}, {}, 'auto', 'plausible'],
  ['the same, started again', {}, seen(nowMs - hour), 'auto', 'plausible'],
  ['1970', { wallMs: 60_000 }, {}, 'auto', /1970-01-01.*before this program was made/],
  ['just before this program', { wallMs: programMs - 1 }, {}, 'auto', /before this program/],
  ['earlier than before', {}, seen(nowMs + 1), 'auto', /this agent has seen 2026-11-22T00:00:00\.001Z/],
  ['a Pi with the time of its shutdown', pi, seen(nowMs - 1_000), 'auto', /timesyncd has not set it yet/],
  ['the same, later set', { ...pi, isSynchronised: true }, {}, 'auto', 'synchronised'],
  [
    'set back from a future that was trusted',
    { isSynchronised: true },
    seen(nowMs + hour),
    'auto',
    'synchronised',
  ],
  [
    'a Pi whose clock jumps to a time that may be',
    { ...pi, wasSet: true },
    seen(nowMs - hour),
    'auto',
    'set',
  ],
  ['a jump to the past', { ...pi, wasSet: true }, seen(nowMs + hour), 'auto', /this agent has seen/],
  ['a jump within 1970', { wallMs: 5_000, wasSet: true }, {}, 'auto', /before this program/],
  ['a hardware clock that agrees', { ...pi, hardwareMs: nowMs - 900 }, {}, 'auto', 'hardware clock'],
  ['one that lost its battery', { ...pi, hardwareMs: 60_000 }, {}, 'auto', /timesyncd/],
  ['one that agrees on 1970', { wallMs: 60_000, hardwareMs: 60_000 }, {}, 'auto', /before this program/],
  ['chrony, and nothing seen', {}, {}, 'synchronised', /clock\.trust is synchronised/],
  ['chrony, and a hardware clock', { hardwareMs: nowMs }, {}, 'synchronised', /clock\.trust is synchronised/],
  ['chrony sets it', { wasSet: true }, {}, 'synchronised', 'set'],
  ['this boot, once trusted', { wallMs: 5 }, { wasTrusted: true }, 'synchronised', 'this boot'],
  ['whatever it says', { wallMs: 5, ...pi }, seen(nowMs), 'always', 'configuration'],
];
for (const [what, reading, memory, mode, expected] of cases)
  test(`trust in the clock: ${what}`, () => {
    const known = { wasTrusted: false, trustedMs: undefined, ...memory };
    const { basis, reason } = planTrust({ ...quiet, ...reading }, known, mode);
    if (typeof expected === 'string') assert.equal(basis, expected);
    else {
      assert.equal(basis, undefined);
      assert.match(reason, expected);
    }
  });
