/**
 * What one stream makes of decoded rows: picks the time, the tags and the fields, names, types and scales them, and finds the
 * table. All rows of a message, or a refusal.
 *
 * 1. Each entry of a row goes where its name's plan says (`name-plans.ts`); entries that rows share come second, and only
 * where the row has none of its own. 2. The time is looked for. 3. Tags are put together. A row that holds no field is none;
 * a message without any row is refused.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import { fieldsPerTableMax } from '../batch/table-batch.js';
import type { DecodedRows, Scalar, ValueKind } from './decoded-rows.js';
import { Refusal } from './decoder.js';
import { MappedRows } from './mapped-rows.js';
import { NamePlans, scaleNumber, type FieldPlan } from './name-plans.js';
import { fieldRulesOf, tagRulesOf, type StreamConfig, type TagRule } from './stream-config.js';
import { measurementPart, nameTable } from './table-template.js';
import { parseTimeUs } from './time.js';
import { toDeclared, typeOf } from './typed-value.js';

/** What the topic of a message says, found out once per topic. */
export interface TopicFacts {
  /** In the order of the topic template's tags. */
  readonly levels: readonly string[];
  /** Absent: the table depends on the row. */
  readonly table: string | undefined;
}

/** Different names in one message, whatever tables they go to. */
const columnsPerMessageMax = 10 * fieldsPerTableMax;
const tableNamesMax = 10_000;

export class Mapper {
  /** Of all rows; the format may add others. */
  readonly tagNames: readonly string[];
  /** By column. */
  readonly declaredTypes: ReadonlyMap<string, FieldType>;
  /** By column. */
  readonly decimals: ReadonlyMap<string, number>;
  readonly #stream: StreamConfig;
  readonly #tagRules: readonly TagRule[];
  readonly #plans: NamePlans;
  readonly #hasPayloadTags: boolean;
  readonly #tableNames = new Map<string, string>();
  /** Of the row begun, where they come from the payload. */
  readonly #payloadTags: (string | undefined)[];
  #time: Scalar | undefined;
  #refusal: Refusal | undefined;
  /** The row begun has this stamp, entries it shares the next one. */
  #stamp = 0;
  #messageStamp = 0;
  #columnCount = 0;

  constructor(stream: StreamConfig) {
    const tags = [...tagRulesOf(stream)];
    const fields = [...fieldRulesOf(stream)];
    this.#stream = stream;
    this.tagNames = tags.map(([name]) => name);
    this.#tagRules = tags.map(([, rule]) => rule);
    this.#payloadTags = tags.map(() => undefined);
    this.#hasPayloadTags = this.#tagRules.some((rule) => 'path' in rule);
    this.declaredTypes = new Map(fields.flatMap(([name, { type }]) => (type ? [[name, type]] : [])));
    this.decimals = new Map(
      fields.flatMap(([name, { decimals }]) => (decimals === undefined ? [] : [[name, decimals]])),
    );
    this.#plans = new NamePlans(stream);
  }

  factsOf(levels: readonly string[]): TopicFacts {
    const { table, name, topic } = this.#stream;
    if (!table) return { levels, table: name };
    if (table.names.some((part) => !topic.tags.includes(part))) return { levels, table: undefined };
    return {
      levels,
      table: nameTable(
        table,
        table.names.map((part) => levels[topic.tags.indexOf(part)] ?? ''),
      ),
    };
  }

  /** Fills `mapped`, which is empty. After a refusal it is not looked at. */
  map(decoded: DecodedRows, facts: TopicFacts, arrivedUs: number, mapped: MappedRows): Refusal | undefined {
    this.#plans.forgetSome();
    this.#messageStamp = this.#stamp + 2;
    this.#columnCount = 0;
    this.#refusal = undefined;
    for (let row = 0; row < decoded.rowCount; row++) {
      const refusal = this.#mapRow(decoded, row, facts, arrivedUs, mapped);
      if (refusal) return decoded.rowCount === 1 ? refusal : inRow(refusal, row);
    }
    if (mapped.rowCount > 0) return undefined;
    return new Refusal('no_field', 'no member holds a number, boolean or text that could be a field');
  }

  #mapRow(
    decoded: DecodedRows,
    row: number,
    facts: TopicFacts,
    arrivedUs: number,
    mapped: MappedRows,
  ): Refusal | undefined {
    const fieldCountBefore = mapped.fieldCount;
    this.#stamp += 2;
    this.#time = undefined;
    if (this.#hasPayloadTags) this.#payloadTags.fill(undefined);
    mapped.beginRow();
    const end = decoded.ends[row] ?? 0;
    for (let at = decoded.starts[row] ?? 0; at < end; at++) this.#mapEntry(decoded, at, this.#stamp, mapped);
    const sharedEnd = decoded.sharedEnds[row] ?? 0;
    for (let at = decoded.sharedStarts[row] ?? 0; at < sharedEnd; at++)
      this.#mapEntry(decoded, at, this.#stamp + 1, mapped);
    if (this.#refusal) return this.#refusal;
    if (mapped.fieldCount === fieldCountBefore) {
      mapped.dropRow();
      return undefined;
    }
    if (mapped.fieldCount - fieldCountBefore > fieldsPerTableMax)
      return new Refusal('too_many_fields', `more than ${fieldsPerTableMax} fields in one row`);
    const timeUs = this.#readTimeUs(decoded, row, arrivedUs);
    if (timeUs instanceof Refusal) return timeUs;
    this.#addTags(decoded.measurements[row], facts, mapped);
    mapped.endRow(facts.table ?? this.#tableOf(facts, decoded.measurements[row]), timeUs);
    return undefined;
  }

  #mapEntry(decoded: DecodedRows, at: number, stamp: number, mapped: MappedRows): void {
    const name = decoded.names[at] ?? '';
    const kind = decoded.kinds[at] ?? 'text';
    const value = decoded.values[at] ?? '';
    if (kind === 'tag') {
      this.#mapTag(name, value as string, mapped);
      return;
    }
    const { isTime, tagIndexes, fields } = this.#plans.planOf(name);
    if (isTime) this.#time ??= value;
    for (const index of tagIndexes) this.#payloadTags[index] ??= String(value);
    for (const field of fields) this.#mapField(field, name, kind, value, stamp, mapped);
  }

  #mapField(
    { column, lastSet, declared, scaling }: FieldPlan,
    name: string,
    kind: ValueKind,
    value: Scalar,
    stamp: number,
    mapped: MappedRows,
  ): void {
    // What the row says itself stands before what it shares.
    if (lastSet.stamp === this.#stamp && stamp !== this.#stamp) return;
    if (lastSet.stamp === stamp) {
      this.#refusal ??= nameClash(lastSet.setBy, name, column.name);
      return;
    }
    if (lastSet.stamp < this.#messageStamp && ++this.#columnCount > columnsPerMessageMax) {
      this.#refusal ??= new Refusal('too_many_fields', `more than ${columnsPerMessageMax} different names`);
      return;
    }
    lastSet.stamp = stamp;
    lastSet.setBy = name;
    let typed = toDeclared(value, kind, declared);
    if (scaling && (typeof typed === 'number' || typeof typed === 'bigint'))
      typed = scaleNumber(Number(typed), scaling);
    mapped.addField(column, typeOf(typed, kind, declared), typed);
  }

  #mapTag(name: string, value: string, mapped: MappedRows): void {
    if (this.#hasPayloadTags) {
      const { tagIndexes } = this.#plans.planOf(name);
      for (const index of tagIndexes) this.#payloadTags[index] ??= value;
      if (tagIndexes.length > 0) return;
    }
    const tag = this.#plans.tagOf(name);
    if (!tag) return;
    if (tag.lastSet.stamp === this.#stamp) {
      this.#refusal ??= nameClash(tag.lastSet.setBy, name, tag.name);
      return;
    }
    tag.lastSet.stamp = this.#stamp;
    tag.lastSet.setBy = name;
    mapped.addTag(tag.name, value);
  }

  #addTags(measurement: string | undefined, { levels }: TopicFacts, mapped: MappedRows): void {
    for (let index = 0; index < this.#tagRules.length; index++) {
      const rule = this.#tagRules[index];
      let value: string | undefined;
      if (!rule) continue;
      if ('topic' in rule) value = levels[this.#stream.topic.tags.indexOf(rule.topic)];
      else if ('path' in rule) value = this.#payloadTags[index];
      else value = 'constant' in rule ? rule.constant : measurement;
      if (value !== undefined) mapped.addTag(this.tagNames[index] ?? '', value);
    }
  }

  #readTimeUs(decoded: DecodedRows, row: number, arrivedUs: number): number | Refusal {
    const { time, snapUs } = this.#stream;
    const own = time === 'own' ? decoded.times[row] : undefined;
    const isArrival = time === undefined || (time === 'own' && own === undefined);
    const unit = typeof time === 'object' ? time.unit : decoded.timeUnit;
    const value = typeof time === 'object' ? this.#time : own;
    const timeUs = isArrival ? arrivedUs : parseTimeUs(value, unit);
    if (timeUs !== undefined) return snapUs === undefined ? timeUs : snap(timeUs, snapUs);
    const path = typeof time === 'object' ? `"${time.path}"` : 'the timestamp';
    const problem =
      value === undefined
        ? `no member ${path} for the time`
        : `${path} is ${show(value)}, which is no time in ${unit}`;
    return new Refusal('no_time', problem);
  }

  #tableOf({ levels }: TopicFacts, measurement = ''): string {
    const { table, topic, name } = this.#stream;
    if (!table) return name;
    const known = this.#tableNames.get(measurement);
    if (known !== undefined) return known;
    const valueOf = (part: string) =>
      topic.tags.includes(part) ? (levels[topic.tags.indexOf(part)] ?? '') : measurement;
    const tableName = nameTable(table, table.names.map(valueOf));
    // A level of the topic may be another one for the next message.
    const isKnownByMeasurement = table.names.every((part) => part === measurementPart);
    if (isKnownByMeasurement && this.#tableNames.size < tableNamesMax)
      this.#tableNames.set(measurement, tableName);
    return tableName;
  }
}

function nameClash(first: string, second: string, column: string): Refusal {
  const names = first === second ? `two members "${first}"` : `"${first}" and "${second}"`;
  return new Refusal('name_clash', `${names} would both be the column ${column}`);
}

/** Down to a multiple of `snapUs`, also before 1970. Of times within ±2^53 no quotient rounds up to the next multiple. */
function snap(timeUs: number, snapUs: number): number {
  return Math.floor(timeUs / snapUs) * snapUs;
}

function inRow({ code, reason }: Refusal, row: number): Refusal {
  return new Refusal(code, `row ${row + 1}: ${reason}`);
}

function show(value: Scalar): string {
  return (typeof value === 'bigint' ? String(value) : JSON.stringify(value)).slice(0, 80);
}
