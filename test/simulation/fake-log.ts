/**
 * The edge log as the agent sees it: the model behind a thread that does one call after the other. A call is committed at one
 * moment, and answered at a later one; it may be refused, and then nothing has changed.
 *
 * It also keeps what the checks need: which message has which number, for ever.
 */
import { Failure } from '@varve/common/errors.js';
import { isEvicted, readBlock } from '@varve/edge-agent/log/block.js';
import type {
  EdgeLog,
  EvictRequest,
  NewBlock,
  OutboxEntry,
  StageRequest,
} from '@varve/edge-agent/log/edge-log.js';
import { backlogLane } from '@varve/edge-agent/ship/plan-lanes.js';
import type { Effects } from './effects.js';
import { idOf, type Stream } from './fake-messages.js';
import { LogTables } from './log-tables.js';
import { ModelLog } from './model-log.js';
import type { PlantedFault } from './planted-faults.js';

/** A message that was committed. */
export interface Logged {
  readonly id: number;
  readonly stream: Stream;
}

export interface FakeLogOptions {
  readonly effects: Effects;
  readonly recentBytesMax: number;
  readonly planted: PlantedFault | undefined;
  /** Asked before every write: why the disk refuses it, if it does. */
  readonly refusal: () => Failure | undefined;
  /** The store has the shipment that is about to be forgotten. */
  readonly isInStore: (entry: OutboxEntry) => boolean;
}

export class FakeLog {
  readonly tables = new LogTables('20261122t000000z-1');
  /** By number: every message that was ever committed. */
  readonly logged = new Map<number, Logged>();
  readonly durableIds = new Set<number>();
  /** Not kept for redeliveries any more: if these come again, they may be stored again. */
  readonly releasedIds = new Set<number>();
  /** Something was staged in the backlog's lane, where reducers begin anew. */
  hasJumped = false;
  readonly #options: FakeLogOptions;

  constructor(options: FakeLogOptions) {
    this.#options = options;
  }

  /** What came about at all, from what the tables say in the end. */
  noteSights(): void {
    const { seen } = this.#options.effects;
    if (this.tables.totals.has('evicted')) seen.add('evicted');
    if (this.tables.totals.has('dead_letter')) seen.add('dead letter');
    if (this.tables.totals.has('replayed')) seen.add('dead letter replayed');
    if (this.releasedIds.size > 0) seen.add('recent blocks released');
    if ([...this.tables.lanes.values()].some(({ lane }) => lane === backlogLane))
      seen.add('newest data first');
  }

  /** What a start finds. */
  open(): EdgeLog {
    const { effects, recentBytesMax, planted } = this.#options;
    const model = new ModelLog(this.tables, recentBytesMax);
    const call = <T>(what: string, work: () => T): Promise<T> => effects.call(`log: ${what}`, work, 'log');
    const ask = <T>(what: string, work: () => T): Promise<T> => effects.ask(`log: ${what}`, work, 'log');
    const write = <T>(what: string, work: () => T): Promise<T> =>
      call(what, () => {
        const refusal = this.#options.refusal();
        if (refusal) {
          effects.seen.add('write refused');
          throw refusal;
        }
        return work();
      });
    return {
      opened: this.#opened(model),
      append: (blocks) => {
        const appended = write(`append ${describe(blocks)}`, () => this.#append(model, blocks));
        if (planted !== 'ack before commit') return appended;
        appended.catch(() => undefined);
        return Promise.resolve([0]);
      },
      read: (fromSeq, bytesMax) => ask(`read from ${fromSeq}`, () => model.read(fromSeq, bytesMax)),
      stage: (request) => this.#stage(model, request, write),
      replace: (entry, losses) =>
        write(`replace the file of ${describeEntry(entry)}`, () => {
          effects.seen.add('shipment made again');
          model.replace(entry, losses);
        }),
      confirm: (id, keepFromMs) => write(`confirm ${id}`, () => this.#confirm(model, id, keepFromMs)),
      evict: (request) =>
        planted === 'ledger apart'
          ? this.#evictApart(model, request, write)
          : write(describeEvict(request), () => model.evict(request)),
      releaseRecent: () => write('release recent blocks', () => this.#release(model)),
      waitingLosses: () => ask('losses', () => model.waitingLosses()),
      shippedLosses: (id) => ask(`losses of ${id}`, () => model.shippedLosses(id)),
      losses: () => ask('totals', () => model.losses()),
      deadLetters: (limit) => ask('dead letters', () => model.deadLetters(limit)),
      deadLettersFrom: (fromSeq, endSeq, limit) =>
        ask('dead letters', () => model.deadLettersFrom(fromSeq, endSeq, limit)),
      replayDeadLetters: (request) =>
        write(`replay letters ${request.letters.map(({ seq }) => seq).join(' ')}`, () =>
          model.replayDeadLetters(request),
        ),
      sizes: (seq) => ask('sizes', () => model.sizes(seq)),
      releaseKept: (messages) =>
        write(`release ${messages} that are kept`, () => model.releaseKept(messages)),
      // Its clock is trusted from the start.
      beginBoot: () => Promise.resolve({ boot: 1, offsetMs: 0, trustedMs: null }),
      trustBoot: () => Promise.resolve(),
      // One set of subscriptions, which never changes.
      subscribed: () => ask('subscriptions', () => []),
      setSubscribed: () => ask('remember subscriptions', () => undefined),
      close: () => ask('close', () => undefined),
    };
  }

  #opened(model: ModelLog): EdgeLog['opened'] {
    const state = model.state();
    const { planted } = this.#options;
    if (planted === 'redeliveries forgotten') return { ...state, recentSeq: state.endSeq };
    if (planted !== 'number used again') return state;
    return { ...state, nextShipmentSeqs: state.outbox.map((entry) => ({ ...entry, seq: entry.seq + 1 })) };
  }

  #append(model: ModelLog, blocks: readonly NewBlock[]): number[] {
    const firstSeqs = model.append(blocks);
    for (const [index, { bytes }] of blocks.entries()) {
      let seq = firstSeqs[index] ?? 0;
      for (const { topic, payload } of readBlock(bytes)) {
        const id = idOf(payload);
        this.logged.set(seq++, { id, stream: topic });
        this.durableIds.add(id);
      }
    }
    return firstSeqs;
  }

  #confirm(model: ModelLog, id: number, keepFromMs: number | undefined): void {
    const entry = this.tables.outbox.find((other) => other.id === id);
    if (entry && !this.#options.isInStore(entry))
      this.#options.effects.violate(`${describeEntry(entry)} is forgotten, and the store does not have it`);
    model.confirm(id, keepFromMs);
  }

  #release(model: ModelLog): void {
    for (const { firstSeq, bytes } of this.tables.blocks) {
      if (firstSeq < model.recentSeq) continue;
      for (const message of readBlock(bytes))
        if (!isEvicted(message)) this.releasedIds.add(idOf(message.payload));
    }
    model.releaseRecent();
  }

  #stage(model: ModelLog, request: StageRequest, write: Write) {
    const { planted } = this.#options;
    this.hasJumped ||= request.reduction === undefined;
    if (planted === 'position apart') return this.#stageApart(model, request, write);
    if (planted === 'reduction apart') return this.#rememberApart(model, request, write);
    return write(describeStage(request), () => model.stage(request));
  }

  async #stageApart(model: ModelLog, request: StageRequest, write: Write) {
    const entries = await write(describeStage(request), () => model.takeShipments(request));
    const nextSeq = await write('move the position', () => model.movePosition(request));
    const { waitingLosses } = model.state();
    return { entries, deadLettersDropped: 0, nextSeq, waitingLosses };
  }

  async #rememberApart(model: ModelLog, request: StageRequest, write: Write) {
    const { reduction } = request;
    if (reduction) await write('remember', () => model.remember(reduction, request.nextSeq));
    return await write(describeStage(request), () => model.stage({ ...request, reduction: [] }));
  }

  async #evictApart(model: ModelLog, { blocks, losses }: EvictRequest, write: Write) {
    await write(describeEvict({ blocks, losses }), () => model.dropMessages(blocks));
    await write('write the losses down', () => model.evict({ blocks: [], losses }));
  }
}

type Write = <T>(what: string, work: () => T) => Promise<T>;

function describe(blocks: readonly NewBlock[]): string {
  const ids = blocks.flatMap(({ bytes }) => [...readBlock(bytes)].map(({ payload }) => idOf(payload)));
  return `messages ${ids.join(' ')}`;
}

function describeStage({ shipments, nextSeq }: StageRequest): string {
  return `stage ${shipments.map(describeEntry).join(', ')}, go to ${nextSeq}`;
}

function describeEvict({ blocks }: EvictRequest): string {
  return `evict from blocks ${blocks.map(({ firstSeq }) => firstSeq).join(' ')}`;
}

function describeEntry({ lane, table, seq }: Pick<OutboxEntry, 'lane' | 'table' | 'seq'>): string {
  return `${lane} ${table} ${seq}`;
}
