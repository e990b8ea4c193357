/**
 * Format `json`: a payload is one object and makes one row. Its members are the fields; members that hold objects, arrays
 * or null are passed over. A number is a double unless the stream says otherwise, since 20 and 20.5 from one sensor are
 * one series.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import { foldColumnName } from '@varve/common/contract/names.js';
import { messageOf } from '@varve/common/errors.js';
import { fieldsPerTableMax, type TableBatch } from '../batch/table-batch.js';
import { Refusal, type Decode, type DecodeInput, type DecodeRules } from './decoder.js';
import { parseTimeUs } from './time.js';

type JsonObject = Readonly<Record<string, unknown>>;

interface FoundField {
  readonly name: string;
  readonly originalName: string;
  readonly type: FieldType;
  readonly value: number | boolean | string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

export function jsonDecoder(rules: DecodeRules): Decode {
  const columnNames = new Map<string, string>();
  /** Folding is the same for every message: done once per name, for a bounded number of names. */
  const columnNameOf = (key: string): string => {
    let name = columnNames.get(key);
    if (name === undefined) {
      name = foldColumnName(key);
      if (columnNames.size < 10_000) columnNames.set(key, name);
    }
    return name;
  };
  const timeMember = rules.time?.path.split('.', 1)[0];
  const isField = (key: string) =>
    rules.fields ? rules.fields.has(key) : key !== timeMember && !rules.tags.has(columnNameOf(key));

  return (input, batch) => {
    const object = parseObject(input.payload);
    if (object instanceof Refusal) return object;
    const timeUs = readTimeUs(object, rules, input);
    if (timeUs instanceof Refusal) return timeUs;
    const fields = findFields(object, isField, columnNameOf, rules.fields);
    if (fields instanceof Refusal) return fields;
    const crowdedOut = fields.find(({ name }) => !batch.hasRoomFor(name));
    if (crowdedOut)
      return new Refusal('too_many_fields', `no room for another field "${crowdedOut.name}" in this table`);
    addRow(batch, timeUs, input.tagValues, fields);
    return undefined;
  };
}

function parseObject(payload: Uint8Array): JsonObject | Refusal {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(payload));
  } catch (error) {
    return new Refusal(
      'not_json',
      payload.length === 0 ? 'the payload is empty' : `not JSON: ${messageOf(error)}`,
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  const found = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
  return new Refusal('not_object', `expected a JSON object, found ${found}`);
}

function readTimeUs(object: JsonObject, { time }: DecodeRules, { arrivedMs }: DecodeInput): number | Refusal {
  if (!time) return arrivedMs * 1_000;
  const value = time.path
    .split('.')
    .reduce<unknown>((at, part) => (isObject(at) && Object.hasOwn(at, part) ? at[part] : undefined), object);
  if (value === undefined) return new Refusal('no_time', `no member "${time.path}" for the time`);
  const timeUs = parseTimeUs(value, time.unit);
  if (timeUs !== undefined) return timeUs;
  const shown = JSON.stringify(value).slice(0, 80);
  return new Refusal('no_time', `"${time.path}" is ${shown}, which is no time in ${time.unit}`);
}

function findFields(
  object: JsonObject,
  isField: (key: string) => boolean,
  columnNameOf: (key: string) => string,
  declared: ReadonlyMap<string, FieldType> | undefined,
): FoundField[] | Refusal {
  const found: FoundField[] = [];
  for (const [key, value] of Object.entries(object)) {
    if (!isField(key)) continue;
    const type = typeOf(value, declared?.get(key));
    if (!type) continue;
    const name = columnNameOf(key);
    const clash = found.find((field) => field.name === name);
    if (clash)
      return new Refusal(
        'name_clash',
        `"${clash.originalName}" and "${key}" would both be the column ${name}`,
      );
    if (found.length === fieldsPerTableMax)
      return new Refusal('too_many_fields', `more than ${fieldsPerTableMax} fields in one message`);
    found.push({ name, originalName: key, type, value: value as FoundField['value'] });
  }
  if (found.length > 0) return found;
  return new Refusal('no_field', 'no member holds a number, boolean or text that could be a field');
}

/** The column type of a value; undefined where it cannot be one. Numbers that a long cannot hold exactly are doubles. */
function typeOf(value: unknown, declared: FieldType | undefined): FieldType | undefined {
  if (typeof value === 'number')
    return declared === 'long' && Number.isSafeInteger(value) ? 'long' : 'double';
  if (typeof value === 'boolean') return 'boolean';
  return typeof value === 'string' ? 'string' : undefined;
}

function addRow(
  batch: TableBatch,
  timeUs: number,
  tagValues: readonly string[],
  fields: readonly FoundField[],
): void {
  batch.beginRow(timeUs, tagValues);
  for (const { name, originalName, type, value } of fields) batch.setField(name, originalName, type, value);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null;
}
