/**
 * What tests of stores say often.
 */
import assert from 'node:assert/strict';
import { isFailure, type FailureCode } from '../errors.js';
import type { ListOptions, Store } from './store.js';

export async function failsWith(code: FailureCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => isFailure(error, code) || assert.fail(String(error)));
}

export async function keysOf(store: Store, prefix: string, options?: ListOptions): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix, options)) keys.push(key);
  return keys;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
