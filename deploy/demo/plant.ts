/**
 * A plant that does not exist: three sites, twenty devices, three kinds of readings, a hundred messages a second.
 *
 * Values walk at random inside their limits, rounded as instruments round them. One seed is one course of events; time
 * comes from outside.
 */

export interface Message {
  readonly topic: string;
  readonly payload: string;
}

/** How often every device sends each kind: 20 + 40 + 40 messages a second. */
const perSecond = { environment: 1, vibration: 2, energy: 2 } as const;
const devicesPerSite = { hall: 8, foundry: 7, yard: 5 } as const;

/** Steps are the largest change from one reading to the next. */
interface Range {
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly decimals: number;
}

const ranges = {
  temperature: { min: 14, max: 38, step: 0.06, decimals: 2 },
  humidity: { min: 25, max: 75, step: 0.2, decimals: 1 },
  pressure: { min: 985, max: 1035, step: 0.03, decimals: 2 },
  rms: { min: 0.2, max: 7, step: 0.05, decimals: 3 },
  voltage: { min: 223, max: 238, step: 0.3, decimals: 1 },
  power: { min: 180, max: 4200, step: 25, decimals: 1 },
} satisfies Record<string, Range>;

/** Of a machine that runs, and of one that stands, from one reading to the next. */
const startStopChance = 0.002;
const energySinceMs = Date.UTC(2025, 0, 1);
const hourMs = 3_600_000;

type Random = () => number;
type Kind = keyof typeof perSecond;
type Sensor = (tsMs: number) => Record<string, number | boolean>;

export class Plant {
  /** What is sent in the course of a second, in order, evenly spread. */
  readonly #schedule: readonly { readonly topic: string; readonly read: Sensor }[];
  readonly #everyMs: number;
  #nextMs: number;
  #position = 0;

  constructor(seed: number, startMs: number) {
    const random = seededRandom(seed);
    const devices = Object.entries(devicesPerSite).flatMap(([site, count]) =>
      Array.from({ length: count }, (_, index) => createDevice(site, `${site}-${index + 1}`, random)),
    );
    this.#schedule = [0, 1].flatMap((turn) =>
      devices.flatMap((device) => device.filter(({ kind }) => turn < perSecond[kind])),
    );
    this.#everyMs = 1_000 / this.#schedule.length;
    this.#nextMs = startMs;
  }

  /** What is due up to `nowMs`, in order of time. After a pause of more than a second the rest of it is left out. */
  readUntil(nowMs: number): Message[] {
    if (Math.abs(nowMs - this.#nextMs) > 1_000) this.#nextMs = nowMs;
    const messages: Message[] = [];
    for (; this.#nextMs <= nowMs; this.#nextMs += this.#everyMs) {
      const due = this.#schedule[this.#position];
      this.#position = (this.#position + 1) % this.#schedule.length;
      if (due !== undefined) messages.push(toMessage(due, Math.floor(this.#nextMs)));
    }
    return messages;
  }
}

function toMessage({ topic, read }: { topic: string; read: Sensor }, tsMs: number): Message {
  return { topic, payload: JSON.stringify({ ts: tsMs, ...read(tsMs) }) };
}

function createDevice(site: string, device: string, random: Random) {
  const topicOf = (kind: Kind) => `plant/${site}/${device}/${kind}`;
  const sensors: Record<Kind, Sensor> = {
    environment: environmentSensor(random),
    vibration: vibrationSensor(random),
    energy: energySensor(random),
  };
  return Object.entries(sensors).map(([name, read]) => {
    const kind = name as Kind;
    return { kind, topic: topicOf(kind), read };
  });
}

function environmentSensor(random: Random): Sensor {
  const temperature = walk(ranges.temperature, random);
  const humidity = walk(ranges.humidity, random);
  const pressure = walk(ranges.pressure, random);
  return () => ({ temperature: temperature(), humidity: humidity(), pressure: pressure() });
}

function vibrationSensor(random: Random): Sensor {
  const whileRunning = walk(ranges.rms, random);
  let running = random() < 0.8;
  return () => {
    if (random() < startStopChance) running = !running;
    const rms = running ? whileRunning() : round(0.01 + random() * 0.02, ranges.rms.decimals);
    return { rms, peak: round(rms * (2.6 + random() * 0.6), ranges.rms.decimals), running };
  };
}

function energySensor(random: Random): Sensor {
  const nextVoltage = walk(ranges.voltage, random);
  const nextPower = walk(ranges.power, random);
  let lastMs: number | undefined;
  let totalKwh = 0;
  return (tsMs) => {
    const voltage = nextVoltage();
    const power = nextPower();
    // As if it had drawn that since it was installed: a meter does not start again with the simulation.
    totalKwh += ((power / 1_000) * (tsMs - (lastMs ?? energySinceMs))) / hourMs;
    lastMs = tsMs;
    return { power, voltage, current: round(power / voltage, 3), total: round(totalKwh, 3) };
  };
}

/** A value that goes up and down by chance and turns round at its limits. */
function walk({ min, max, step, decimals }: Range, random: Random): () => number {
  let value = min + (max - min) * (0.25 + 0.5 * random());
  return () => {
    value += (random() * 2 - 1) * step;
    if (value > max) value = 2 * max - value;
    if (value < min) value = 2 * min - value;
    return round(value, decimals);
  };
}

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}

/** Marsaglia's xorshift with 32 bits of state: good enough for weather. In [0, 1). */
function seededRandom(seed: number): Random {
  // Never nought, where it would stay; spread, because small seeds begin with small numbers.
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
