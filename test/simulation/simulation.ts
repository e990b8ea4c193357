/**
 * A deterministic simulation of the agent's core: the real source, committer, pump, stager, outbox, shipper, evictor and
 * keeper, on a broker, a log, a disk, a clock and a store that are simulated. One seed is one schedule:
 *
 * 1. The seed chooses a profile: how large everything is, and what goes wrong (`profile.ts`). 2. Step by step it chooses
 * what comes next: one of the effects under way ends, a timer fires, a message is published – or the agent is killed, the
 * power fails, a connection breaks, the store goes away, the disk refuses a write. So there is a crash between any two
 * effects in some schedule. 3. Then everything heals, and the agent runs until nothing is left to do. 4. `checks.ts` looks at
 * what the store has. What can be seen to be wrong at once is reported at once: see `violate`.
 *
 * To see one schedule again, step by step: `VARVE_SIMULATION_SEED=<seed> npm test -- simulation.test`.
 *
 * What is simulated and not real: SQLite (`model-log.ts`, held to the real one by a test of its own), its thread, the file
 * system, mqtt.js, the S3 client, and the Parquet encoder. `test/torture` has the real ones, and far fewer schedules.
 */
import { setImmediate } from 'node:timers/promises';
import { Failure } from '@varve/common/errors.js';
import { formatInboxKey } from '@varve/common/contract/object-keys.js';
import { seededRandom, wholeBetween, type Random } from '../torture/seeded-random.js';
import { agentName, AgentLife, isExcusable } from './agent-life.js';
import { checkOutcome } from './checks.js';
import { Effects, type Sight } from './effects.js';
import { FakeBroker } from './fake-broker.js';
import { FakeDisk } from './fake-disk.js';
import { FakeLog } from './fake-log.js';
import { makeMessage, mendedStreams, streams, type FakeMessage } from './fake-messages.js';
import { FakeStore } from './fake-store.js';
import type { PlantedFault } from './planted-faults.js';
import { chooseProfile, type Profile } from './profile.js';

/** More than any schedule needs to come to rest: then it hangs. */
const healingStepsMax = 20_000;
/** Of 8 messages in flight, each alone in its block, and more. */
const recentBytesMax = 1_500;

export interface ScheduleOptions {
  readonly planted?: PlantedFault;
  readonly isTraced?: boolean;
}

export interface Outcome {
  readonly seed: number;
  readonly steps: number;
  /** What was wrong, if anything was. */
  readonly violation: Error | undefined;
  readonly trace: readonly string[];
  readonly seen: ReadonlySet<Sight>;
}

export async function runSchedule(seed: number, options: ScheduleOptions = {}): Promise<Outcome> {
  return await new Simulation(seed, options).run();
}

class Simulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #profile: Profile;
  readonly #effects: Effects;
  readonly #log: FakeLog;
  readonly #disk: FakeDisk;
  readonly #broker: FakeBroker;
  readonly #store: FakeStore;
  readonly #messages: FakeMessage[];
  #life: AgentLife | undefined;
  #isHealed = false;
  #isStoreDown = false;
  #isMended = false;
  /** Once everything has healed. */
  #replaysLeft = 0;
  #published = 0;
  #steps = 0;

  constructor(seed: number, { planted, isTraced = false }: ScheduleOptions) {
    this.#seed = seed;
    const random = seededRandom(seed);
    this.#random = random;
    const profile = chooseProfile(random);
    this.#profile = profile;
    const effects = new Effects(isTraced);
    this.#effects = effects;
    effects.note(`seed ${seed}: ${JSON.stringify(profile)}`);
    const clashShare = profile.chances.mended > 0 ? 0.3 : 0;
    this.#messages = Array.from({ length: profile.messages }, (_, index) =>
      makeMessage(index + 1, random, clashShare),
    );
    this.#disk = new FakeDisk(effects, () => this.#happens(profile.diskFull));
    this.#store = new FakeStore({
      ...{ effects, random, planted, disk: this.#disk },
      trouble: () => this.#chooseStoreTrouble(),
    });
    this.#log = new FakeLog({
      ...{ effects, planted, recentBytesMax },
      refusal: () => this.#chooseRefusal(),
      isInStore: (entry) =>
        this.#store.has(formatInboxKey({ ...entry, agent: agentName, epoch: this.#log.tables.epoch })),
    });
    this.#broker = new FakeBroker({
      ...{ effects, random, planted, receiveMaximum: profile.receiveMaximum },
      isReachable: () => !this.#happens(profile.chances.cut * 5),
      isDurable: ({ id }) => this.#log.durableIds.has(id),
    });
  }

  async run(): Promise<Outcome> {
    try {
      for (; this.#steps < this.#profile.troubledSteps; this.#steps++) await this.#step();
      this.#heal();
      const stepsMax = this.#steps + healingStepsMax;
      for (; !this.#isAtRest(); this.#steps++) {
        if (this.#steps > stepsMax) this.#effects.violate('it hangs: there is work left, and it is not done');
        await this.#step();
      }
      checkOutcome({
        ...{ effects: this.#effects, log: this.#log, disk: this.#disk, broker: this.#broker },
        ...{ store: this.#store, messages: this.#messages },
        isEverythingShipped: this.#profile.cellsMax === 0,
      });
    } catch (error) {
      this.#effects.violation ??= error as Error;
    }
    this.#log.noteSights();
    const { violation, seen, trace = [] } = this.#effects;
    // Nothing of it may go on while the next schedule runs.
    this.#effects.kill();
    return { seed: this.#seed, steps: this.#steps, violation, trace, seen };
  }

  async #step(): Promise<void> {
    this.#next();
    // Everything that follows from it without an effect.
    await setImmediate();
    if (this.#effects.violation) throw this.#effects.violation;
    const ended = this.#life?.ended;
    if (ended === undefined) return;
    if (ended && !isExcusable(ended)) throw ended;
    if (!ended) this.#effects.seen.add('stopped in order');
    this.#effects.note(ended ? `the agent gives up: ${ended.message}` : 'the agent has stopped');
    this.#kill();
  }

  #next(): void {
    if (!this.#life) {
      this.#start();
      return;
    }
    if (!this.#isHealed && this.#causeTrouble()) return;
    const random = this.#random;
    if (this.#replaysLeft > 0 && random() < 0.1 && this.#life.replay()) this.#replaysLeft--;
    const choice = random();
    if (this.#published < this.#messages.length && (choice < 0.2 || this.#isHealed)) {
      const message = this.#messages[this.#published++];
      if (message) this.#broker.publish(message);
    } else if (this.#effects.isAnyPending && (choice < 0.95 || !this.#effects.isAnyTimer))
      this.#effects.runOne(random);
    else this.#effects.fireOne(random);
  }

  #causeTrouble(): boolean {
    const { chances } = this.#profile;
    const random = this.#random;
    if (this.#happens(chances.crash)) this.#crash();
    else if (this.#happens(chances.stop)) this.#stop();
    else if (this.#happens(chances.cut)) this.#broker.cut();
    else if (this.#happens(chances.sessionLost)) this.#broker.loseSession();
    else if (this.#happens(chances.timePasses)) this.#effects.passTime(wholeBetween(random, 1, 200_000));
    else if (this.#happens(chances.clockSet)) this.#effects.setWallClock(wholeBetween(random, -1e6, 1e6));
    else if (this.#happens(chances.mended)) this.#mend();
    else if (this.#happens(chances.outage)) this.#turnStore(!this.#isStoreDown);
    else return false;
    return true;
  }

  #start(): void {
    this.#effects.note('the agent starts');
    if (this.#happens(this.#profile.damage)) this.#disk.damage(this.#random);
    this.#life = new AgentLife({
      ...{ profile: this.#profile, clock: this.#effects.clock, random: this.#random, log: this.#log },
      streams: this.#isMended ? mendedStreams : streams,
      ...{ disk: this.#disk, broker: this.#broker, store: this.#store },
    });
  }

  #crash(): void {
    const isPowerCut = this.#random() < 0.5;
    this.#effects.seen.add(isPowerCut ? 'power cut' : 'killed');
    this.#effects.note(isPowerCut ? 'THE POWER FAILS' : 'THE AGENT IS KILLED');
    if (isPowerCut) this.#disk.cutPower(this.#random);
    this.#kill();
  }

  #kill(): void {
    this.#broker.cut();
    this.#effects.kill();
    this.#life = undefined;
  }

  #stop(): void {
    if (!this.#life || this.#life.isStopping) return;
    this.#effects.note('the agent is told to stop');
    this.#life.stop();
  }

  /** The configuration, once, which the next start reads; then dead letters are replayed. */
  #mend(): void {
    if (this.#isMended) {
      if (this.#life?.replay()) this.#effects.note('somebody replays dead letters');
      return;
    }
    this.#isMended = true;
    this.#effects.note('the configuration is mended');
    this.#crash();
  }

  #turnStore(isDown: boolean): void {
    this.#isStoreDown = isDown;
    this.#effects.note(isDown ? 'the store goes away' : 'the store is back');
  }

  #heal(): void {
    this.#effects.note('everything heals');
    this.#isStoreDown = false;
    this.#isHealed = true;
    if (this.#profile.chances.mended === 0) return;
    if (!this.#isMended) this.#mend();
    this.#replaysLeft = 2;
  }

  #isAtRest(): boolean {
    const { tables } = this.#log;
    return (
      // What a power cut brought back is removed by the next start.
      this.#life !== undefined &&
      this.#replaysLeft === 0 &&
      this.#published === this.#messages.length &&
      this.#broker.isIdle &&
      !this.#effects.isAnyPending &&
      tables.outbox.length === 0 &&
      tables.backlog.length === 0 &&
      tables.aggregates.openRanges.length === 0 &&
      tables.losses.length === 0 &&
      tables.blocks.every(({ firstSeq }) => firstSeq < tables.nextSeq)
    );
  }

  #chooseStoreTrouble() {
    if (!this.#isHealed && this.#isStoreDown) return 'lost';
    if (!this.#happens(this.#profile.storeTrouble)) return undefined;
    return (['denied', 'lost', 'answer lost', 'late'] as const)[wholeBetween(this.#random, 0, 3)];
  }

  #chooseRefusal(): Failure | undefined {
    if (this.#happens(this.#profile.diskFull)) return new Failure('disk_full', 'planted: no room for a row');
    if (this.#happens(this.#profile.logRefuses)) return new Failure('data_dir_in_use', 'planted: locked');
    return undefined;
  }

  #happens(chance: number): boolean {
    return chance > 0 && !this.#isHealed && this.#random() < chance;
  }
}
