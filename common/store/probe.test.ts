import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentProbeKey, probeKey } from '../contract/object-keys.js';
import { Failure } from '../errors.js';
import { MemoryStore, type PlantedFaults } from './memory-store.js';
import { judgeTrial, provePutIfAbsent, type Trial } from './probe.js';
import { failsWith, keysOf } from './store-asserts.js';

describe('judgeTrial', () => {
  const inTurn = 'one after the other';
  const cases: [Trial, RegExp | undefined][] = [
    [{ puts: inTurn, outcomes: ['created', 'exists'] }, undefined],
    [{ puts: inTurn, outcomes: ['created', 'exists'], holds: 0 }, undefined],
    [{ puts: inTurn, outcomes: ['created', 'created'] }, /2 were told that they created/],
    [{ puts: inTurn, outcomes: ['exists', 'exists'] }, /0 were told that they created/],
    [{ puts: inTurn, outcomes: ['exists', 'created'] }, /number 2 was told that it created/],
    [{ puts: inTurn, outcomes: ['created', 'exists'], holds: 1 }, /holds what number 2 wrote/],
    [{ puts: inTurn, outcomes: ['created', 'exists'], holds: -1 }, /holds what none of them wrote/],
    [{ puts: 'at once', outcomes: ['exists', 'created', 'exists'], holds: 1 }, undefined],
    [{ puts: 'at once', outcomes: ['exists', 'created', 'exists'] }, undefined],
    [{ puts: 'at once', outcomes: ['created', 'created', 'exists'], holds: 1 }, /2 were told/],
    [{ puts: 'at once', outcomes: ['exists', 'created', 'exists'], holds: 2 }, /holds what number 3 wrote/],
  ];
  for (const [trial, expected] of cases)
    it(`${JSON.stringify(trial)}: ${expected?.source ?? 'sound'}`, () => {
      if (expected) assert.match(judgeTrial(trial) ?? 'sound', expected);
      else assert.equal(judgeTrial(trial), undefined);
    });
});

describe('provePutIfAbsent', () => {
  const full = { access: 'full', probeKey } as const;
  const putOnly = {
    access: 'put-only',
    probeKey: (uuid: string) => agentProbeKey('press-hall-3', uuid),
  } as const;
  const deny = (...denied: string[]): PlantedFaults => ({
    before: (operation, key) => {
      if (denied.includes(operation)) throw new Failure('store_denied', `planted: ${operation} ${key}`);
    },
  });

  it('accepts a sound store and leaves nothing in it', async () => {
    const store = new MemoryStore();
    await provePutIfAbsent(store, full);
    assert.deepEqual(await keysOf(store, ''), []);
  });

  it('refuses a store that overwrites, read back or not, and tidies up all the same', async () => {
    for (const options of [full, putOnly]) {
      const store = new MemoryStore({ faults: { overwritesExisting: true } });
      await failsWith('store_without_put_if_absent', provePutIfAbsent(store, options));
      assert.deepEqual(await keysOf(store, ''), []);
    }
  });

  it('refuses a store that only loses races', async () => {
    const store = new MemoryStore({ faults: { overwritesExisting: true } });
    let putCount = 0;
    store.faults.before = (operation) => {
      if (operation === 'putIfAbsent') store.faults.overwritesExisting = ++putCount > 2;
    };
    await failsWith('store_without_put_if_absent', provePutIfAbsent(store, full));
  });

  it('with put-only access needs nothing but puts, and leaves two objects below the given prefix', async () => {
    const store = new MemoryStore({ faults: deny('get', 'head', 'delete', 'download') });
    await provePutIfAbsent(store, putOnly);
    const keys = await keysOf(store, '');
    assert.equal(keys.length, 2);
    assert.ok(keys.every((key) => key.startsWith('agents/press-hall-3/probe/')));
  });

  it('with full access a denied deletion is a failure', async () => {
    await failsWith('store_denied', provePutIfAbsent(new MemoryStore({ faults: deny('delete') }), full));
  });

  it('says what the first put met, not what the deletion after it met', async () => {
    const store = new MemoryStore();
    store.faults.before = (operation) => {
      throw new Failure(operation === 'delete' ? 'store_unavailable' : 'store_not_found', 'planted');
    };
    await failsWith('store_not_found', provePutIfAbsent(store, full));
  });

  it('proves nothing when the store cannot be reached', async () => {
    const store = new MemoryStore({
      faults: {
        before: () => {
          throw new Failure('store_unavailable', 'planted');
        },
      },
    });
    await failsWith('store_unavailable', provePutIfAbsent(store, full));
  });
});
