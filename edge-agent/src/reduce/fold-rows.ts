/**
 * Which rows of a batch leave: the rows go through the states of their series, in the order they came.
 *
 * `deadband`: a value is new when it is far enough from the last one shipped. `swinging_door` (Bristol, 1987): from the last value
 * shipped, two doors open as far as the deviation allows; while every value since lies between them, one line passes all; the
 * first that does not ends the line at the row before it, which is held for that, and the next line begins there.
 *
 * A row that leaves renews the states of all its fields. Where a stream has doors, a row that does not is held, with all its
 * fields, until the next one of its series. A row that is older than what has been shipped or held cannot be judged any more:
 * it leaves, and changes nothing. So does what cannot be remembered.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import { TableBatch, type BatchColumns, type NamedColumn } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';
import { fieldOfColumn } from './reduced-columns.js';
import type { FieldRule, ReduceConfig } from './reduce-config.js';
import { findSeries } from './series-keys.js';
import { cell, textCharsMax, type FieldStates, type SeriesStates } from './series-states.js';

const typeOfCode: readonly FieldType[] = ['double', 'double', 'long', 'boolean', 'string'];
const noRule: FieldRule = { kind: 'deadband', absolute: 0 };

export interface FoldedRows {
  /** By row: 1 where it leaves. */
  readonly leaves: Uint8Array;
  readonly leavingCount: number;
  /** Of series and fields that there is no room to remember. */
  readonly unjudgedCount: number;
}

interface Source {
  readonly column: NamedColumn;
  readonly states: FieldStates | undefined;
  readonly typeCode: number;
  readonly rule: FieldRule;
}

export class RowFolder {
  readonly #states: SeriesStates;
  readonly #config: ReduceConfig;
  readonly #heartbeatUs: number;
  /** Rows that were held and leave after all. */
  readonly released: TableBatch;

  /** Changes `states`. */
  constructor(
    states: SeriesStates,
    config: ReduceConfig,
    released = new TableBatch({ tags: [], declaredTypes: new Map() }),
  ) {
    this.#states = states;
    this.#config = config;
    this.released = released;
    this.#heartbeatUs = config.heartbeatMs * 1_000;
  }

  get states(): SeriesStates {
    return this.#states;
  }

  fold(columns: BatchColumns): FoldedRows {
    const { rowCount, timeUs } = columns;
    const leaves = new Uint8Array(rowCount);
    const series = findSeries(columns);
    const slots = Int32Array.from(series.keys, (key) => this.#states.slotOf(key));
    const sources = columns.fields.map((column) => this.#sourceOf(column));
    const known = sources.filter(({ states }) => states !== undefined);
    const unknown = sources.filter(({ states }) => states === undefined);
    let leavingCount = 0;
    let unjudgedCount = 0;
    for (let row = 0; row < rowCount; row++) {
      const slot = slots[series.indexes[row] ?? 0] ?? -1;
      const isUnjudged = slot < 0 || (unknown.length > 0 && hasValue(unknown, row));
      if (isUnjudged) unjudgedCount++;
      if (slot >= 0) this.#endLines(known, row, slot, timeUs[row] ?? 0);
      const isLeaving = isUnjudged || this.#saysNew(known, row, slot, timeUs[row] ?? 0);
      if (isLeaving) {
        leaves[row] = 1;
        leavingCount++;
      }
      if (slot >= 0) this.#note(known, row, slot, timeUs[row] ?? 0, isLeaving);
    }
    return { leaves, leavingCount, unjudgedCount };
  }

  /** Rows that are held since before `sinceUs`, or are from a time after `untilUs`; absent: all. */
  release(sinceUs = Infinity, untilUs = -Infinity): void {
    const states = this.#states;
    if (!states.hasDoors) return;
    for (let slot = 0; slot < states.seriesCount; slot++)
      for (const { cells } of states.fields) {
        const at = slot * states.stride;
        const heldUs = cells[at + cell.heldUs] ?? 0;
        if (cells[at + cell.heldType] !== 0 && (heldUs <= sinceUs || heldUs >= untilUs))
          this.#releaseRow(slot, heldUs);
      }
  }

  #sourceOf(column: NamedColumn): Source {
    const field = fieldOfColumn(column);
    const isNumber = column.type === 'double' || column.type === 'long';
    return {
      column,
      states: this.#states.fieldOf(field),
      typeCode: typeOfCode.indexOf(column.type, 1),
      rule: (isNumber && this.#config.rules.get(field)) || noRule,
    };
  }

  /** Lines that do not pass this row end at the row held, and so do those of a series that was silent for a heartbeat. */
  #endLines(sources: readonly Source[], row: number, slot: number, timeUs: number): void {
    const { stride, hasDoors } = this.#states;
    if (!hasDoors) return;
    const at = slot * stride;
    for (const { column, states, typeCode, rule } of sources) {
      if (!states || !isValid(column.validity, row)) continue;
      const { cells } = states;
      const heldUs = cells[at + cell.heldUs] ?? 0;
      if (cells[at + cell.heldType] === 0 || timeUs <= heldUs) continue;
      const isOther = cells[at + cell.heldType] !== typeCode || !isKnowable(column, row);
      // Where a window ended in between, the clock has let it go.
      const wasSilent = timeUs - heldUs >= this.#heartbeatUs;
      if (
        isOther ||
        wasSilent ||
        (rule.kind === 'swinging_door' && !fits(cells, at, timeUs, column.values[row] ?? 0))
      )
        this.#releaseRow(slot, heldUs);
    }
  }

  #saysNew(sources: readonly Source[], row: number, slot: number, timeUs: number): boolean {
    const at = slot * this.#states.stride;
    for (const { column, states, typeCode, rule } of sources) {
      if (!states || !isValid(column.validity, row)) continue;
      const { cells } = states;
      const shippedUs = cells[at + cell.us] ?? 0;
      if (
        cells[at + cell.type] !== typeCode ||
        timeUs <= newestUs(cells, at, this.#states.hasDoors) ||
        timeUs - shippedUs >= this.#heartbeatUs ||
        !isKnowable(column, row) ||
        isFar(column, row, states, slot, cells[at + cell.value] ?? 0, rule)
      )
        return true;
    }
    return false;
  }

  #note(sources: readonly Source[], row: number, slot: number, timeUs: number, isLeaving: boolean): void {
    const { stride, hasDoors } = this.#states;
    if (!isLeaving && !hasDoors) return;
    const at = slot * stride;
    for (const { column, states, typeCode, rule } of sources) {
      if (!states || !isValid(column.validity, row)) continue;
      const { cells } = states;
      // Late: what is remembered is newer.
      if (cells[at + cell.type] !== 0 && timeUs <= newestUs(cells, at, hasDoors)) continue;
      const text = column.type === 'string' ? column.texts[column.values[row] ?? 0] : undefined;
      const value = text === undefined ? (column.values[row] ?? 0) : 0;
      this.#states.touch(slot);
      if (isLeaving) {
        cells[at + cell.type] = isKnowable(column, row) ? typeCode : 0;
        cells[at + cell.us] = timeUs;
        cells[at + cell.value] = value;
        setText(states.texts, slot, text);
        if (hasDoors) openDoors(states, at, slot);
        continue;
      }
      if (rule.kind === 'swinging_door') swing(cells, at, timeUs, value, rule.deviation);
      cells[at + cell.heldType] = typeCode;
      cells[at + cell.heldUs] = timeUs;
      cells[at + cell.held] = value;
      setText(states.heldTexts, slot, text);
    }
  }

  /** What is held of that row leaves. */
  #releaseRow(slot: number, heldUs: number): void {
    const { stride, fields } = this.#states;
    this.#states.touch(slot);
    this.released.beginRow(heldUs);
    for (const [tag, value] of this.#states.tagsOf(slot)) this.released.setTag(tag, value);
    const at = slot * stride;
    for (const states of fields) {
      const { cells, name, texts, heldTexts } = states;
      const typeCode = cells[at + cell.heldType] ?? 0;
      if (typeCode === 0 || cells[at + cell.heldUs] !== heldUs) continue;
      const type = typeOfCode[typeCode] ?? 'double';
      const value = type === 'string' ? (heldTexts[slot] ?? '') : (cells[at + cell.held] ?? 0);
      this.released.setField(name, name, type, value);
      cells[at + cell.type] = typeCode;
      cells[at + cell.us] = heldUs;
      cells[at + cell.value] = cells[at + cell.held] ?? 0;
      setText(texts, slot, heldTexts[slot]);
      openDoors(states, at, slot);
    }
  }
}

function hasValue(sources: readonly Source[], row: number): boolean {
  return sources.some(({ column }) => isValid(column.validity, row));
}

/** Nothing is held, and a line may go anywhere. */
function openDoors({ cells, heldTexts }: FieldStates, at: number, slot: number): void {
  cells[at + cell.heldType] = 0;
  cells[at + cell.heldUs] = 0;
  cells[at + cell.held] = 0;
  cells[at + cell.lowest] = -Infinity;
  cells[at + cell.highest] = Infinity;
  setText(heldTexts, slot, undefined);
}

function setText(texts: (string | undefined)[], slot: number, text: string | undefined): void {
  if (text !== undefined || texts[slot] !== undefined) texts[slot] = text;
}

/** What is older, or as old, is late. */
function newestUs(cells: Float64Array, at: number, hasDoors: boolean): number {
  const shippedUs = cells[at + cell.us] ?? 0;
  const isHolding = hasDoors && cells[at + cell.heldType] !== 0;
  return isHolding ? Math.max(shippedUs, cells[at + cell.heldUs] ?? 0) : shippedUs;
}

/** Whether it can be remembered exactly, and compared. */
function isKnowable({ type, values, texts, longs }: NamedColumn, row: number): boolean {
  const value = values[row] ?? 0;
  if (type === 'string') return (texts[value] ?? '').length <= textCharsMax;
  return longs ? Number.isSafeInteger(value) : Number.isFinite(value);
}

function isFar(
  { type, values, texts }: NamedColumn,
  row: number,
  states: FieldStates,
  slot: number,
  shipped: number,
  rule: FieldRule,
): boolean {
  const value = values[row] ?? 0;
  if (type === 'string') return texts[value] !== states.texts[slot];
  if (rule.kind === 'swinging_door') return false;
  const distance = Math.abs(value - shipped);
  return distance > ('absolute' in rule ? rule.absolute : rule.share * Math.abs(shipped));
}

/** Whether a line from the value shipped to this one passes all between. */
function fits(cells: Float64Array, at: number, timeUs: number, value: number): boolean {
  const slope = (value - (cells[at + cell.value] ?? 0)) / (timeUs - (cells[at + cell.us] ?? 0));
  return slope >= (cells[at + cell.lowest] ?? 0) && slope <= (cells[at + cell.highest] ?? 0);
}

/** The doors are open no farther than lines go that pass this value as well. */
function swing(cells: Float64Array, at: number, timeUs: number, value: number, deviation: number): void {
  const elapsedUs = timeUs - (cells[at + cell.us] ?? 0);
  const slope = (value - (cells[at + cell.value] ?? 0)) / elapsedUs;
  const open = deviation / elapsedUs;
  cells[at + cell.lowest] = Math.max(cells[at + cell.lowest] ?? 0, slope - open);
  cells[at + cell.highest] = Math.min(cells[at + cell.highest] ?? 0, slope + open);
}
