/**
 * The store: put-if-absent, over a network. A put may never arrive, arrive and its answer be lost, or arrive long after the
 * agent gave it up or was killed.
 */
import { strict as assert } from 'node:assert';
import { Failure } from '@varve/common/errors.js';
import { formatInboxKey, parseInboxKey } from '@varve/common/contract/object-keys.js';
import type { ObjectBody, Store } from '@varve/common/store/store.js';
import type { Effects } from './effects.js';
import type { FakeDisk, ShipmentFile } from './fake-disk.js';
import type { PlantedFault } from './planted-faults.js';

export interface FakeStoreOptions {
  readonly effects: Effects;
  readonly disk: FakeDisk;
  readonly random: () => number;
  readonly planted: PlantedFault | undefined;
  /** Asked for every request: what goes wrong with it. */
  readonly trouble: () => 'denied' | 'lost' | 'answer lost' | 'late' | undefined;
}

export class FakeStore {
  /** In the order of arrival. */
  readonly objects = new Map<string, ShipmentFile>();
  readonly #options: FakeStoreOptions;

  constructor(options: FakeStoreOptions) {
    this.#options = options;
  }

  async open(): Promise<Store> {
    const { effects, trouble } = this.#options;
    await effects.call('the store is opened', () => {
      const found = trouble();
      if (found === 'denied') throw new Failure('store_denied', 'planted: denied');
      if (found) throw unavailable(found);
    });
    const unused = () => assert.fail('the agent needs to put, and nothing else');
    return {
      ...{
        url: 'sim',
        put: unused,
        get: unused,
        download: unused,
        head: unused,
        list: unused,
        delete: unused,
      },
      ...{ localPath: () => undefined, close: () => undefined },
      putIfAbsent: (key, body) => this.#put(key, body),
    };
  }

  has(key: string): boolean {
    return this.objects.has(key);
  }

  #put(key: string, body: ObjectBody): Promise<'created' | 'exists'> {
    const { effects, disk, trouble, planted } = this.#options;
    assert(!(body instanceof Uint8Array));
    const name = key.slice('inbox/'.length);
    return new Promise((resolve, reject) => {
      const { life } = effects;
      const answer = (what: string, end: () => void) => {
        if (life === effects.life) effects.queue(`store: ${name} ${what}`, 'agent', end);
      };
      effects.queue(`store: put ${name} leaves`, 'agent', () => {
        const file = disk.read(body.path);
        const found = file ? trouble() : 'lost';
        if (!file || found === 'lost' || found === 'denied') {
          const failure =
            found === 'denied' ? new Failure('store_denied', 'planted: denied') : unavailable('lost');
          answer(found ?? '', () => reject(failure));
          return;
        }
        if (planted === 'delete before put') answer('counts as created', () => resolve('created'));
        if (found === 'late') answer('times out', () => reject(unavailable('late')));
        effects.queue(`store: put ${name} arrives`, 'world', () => {
          const result = this.#take(key, file);
          if (found === 'answer lost') answer(`${result}, answer lost`, () => reject(unavailable(found)));
          else if (found === 'late' || life !== effects.life) effects.seen.add('put arrived late');
          else answer(result, () => resolve(result));
        });
      });
    });
  }

  #take(key: string, file: ShipmentFile): 'created' | 'exists' {
    const { effects } = this.#options;
    const taken = this.objects.get(key);
    if (taken && contentOf(taken) !== contentOf(file))
      effects.violate(`${key} comes with two contents: ${contentOf(taken)}, then ${contentOf(file)}`);
    if (taken) {
      effects.seen.add('put found its key taken');
      return 'exists';
    }
    const parsed = parseInboxKey(key);
    assert(parsed);
    if (parsed.seq > 1 && !this.has(formatInboxKey({ ...parsed, seq: parsed.seq - 1 })))
      effects.violate(`${key} comes before the shipment before it`);
    this.objects.set(key, file);
    return 'created';
  }
}

function contentOf({ metadata, rows }: ShipmentFile): string {
  return JSON.stringify([metadata.firstLogSeq, metadata.lastLogSeq, rows]);
}

function unavailable(why: string): Failure {
  return new Failure('store_unavailable', `planted: ${why}`);
}
