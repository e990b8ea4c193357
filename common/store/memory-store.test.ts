import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../errors.js';
import { MemoryStore } from './memory-store.js';
import { failsWith } from './store-asserts.js';
import { testStore } from './store-conformance.js';

testStore('MemoryStore', () => {
  const store = new MemoryStore();
  return Promise.resolve({ store, close: () => store.close() });
});

describe('MemoryStore with planted faults', () => {
  const lost = () => {
    throw new Failure('store_unavailable', 'planted');
  };
  const body = Uint8Array.of(1);

  it('before: the request never arrived', async () => {
    const store = new MemoryStore({ faults: { before: lost } });
    await failsWith('store_unavailable', store.putIfAbsent('key', body));
    store.faults.before = undefined;
    assert.equal(await store.head('key'), undefined);
  });

  it('after: the put took effect and its answer was lost', async () => {
    const store = new MemoryStore({ faults: { after: lost } });
    await failsWith('store_unavailable', store.putIfAbsent('key', body));
    store.faults.after = undefined;
    assert.equal(await store.putIfAbsent('key', body), 'exists');
  });

  it('a fault may pick the operation and the key', async () => {
    const store = new MemoryStore();
    store.faults.before = (operation, key) => {
      if (operation === 'get' && key === 'bad') lost();
    };
    await store.put('bad', body);
    await failsWith('store_unavailable', store.get('bad'));
    await failsWith('object_missing', store.get('other'));
  });

  it('overwritesExisting: putIfAbsent is none', async () => {
    const store = new MemoryStore({ faults: { overwritesExisting: true } });
    await store.putIfAbsent('key', body);
    assert.equal(await store.putIfAbsent('key', Uint8Array.of(2)), 'created');
    assert.deepEqual(await store.get('key'), Uint8Array.of(2));
  });
});
