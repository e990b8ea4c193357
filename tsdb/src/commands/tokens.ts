/** `varve-tsdb token create|list|revoke`: works on the store itself, and a running server sees it within seconds. */
import { Failure } from '@varve/common/errors.js';
import { TokenBook } from '../access/token-book.js';
import { parseScope, type Scope, type StoredToken } from '../access/token.js';
import type { TsdbConfig } from '../config.js';
import { withLake } from './lake.js';

export interface TokenFlags {
  readonly scope: readonly string[];
  readonly description: string;
  readonly expires?: number;
  readonly requestsPerMinute?: number;
  readonly id?: string;
  readonly json?: true;
}

export async function printTokens(
  config: Pick<TsdbConfig, 'store'>,
  action: string,
  flags: TokenFlags,
): Promise<string> {
  return await withLake(config, async ({ store, clock }) => {
    const tokens = new TokenBook(store, clock);
    if (action === 'create') return await create(tokens, flags, clock.nowMs());
    if (action === 'list') return list(await tokens.list(), flags.json ?? false);
    if (action === 'revoke') return await revoke(tokens, flags.id);
    throw new Failure('bad_param', `"${action}" is none of create, list, revoke`);
  });
}

async function create(tokens: TokenBook, flags: TokenFlags, nowMs: number): Promise<string> {
  if (flags.scope.length === 0)
    throw new Failure('bad_param', 'say what the token may do: --scope read:environment');
  const { text, id } = await tokens.create({
    description: flags.description.slice(0, 200),
    created: new Date(nowMs).toISOString(),
    expires: flags.expires === undefined ? null : new Date(nowMs + flags.expires).toISOString(),
    requests_per_minute: flags.requestsPerMinute ?? null,
    scopes: flags.scope.map(requireScope),
  });
  return flags.json
    ? `${JSON.stringify({ id, token: text })}\n`
    : `${text}\nIt is not shown again. Revoke it with: token revoke --id ${id}\n`;
}

function requireScope(text: string): Scope {
  const scope = parseScope(text);
  if (scope) return scope;
  throw new Failure('bad_param', `"${text}" is no scope`, {
    hint: 'write read, write:environment, read:lab.*',
  });
}

function list(tokens: readonly StoredToken[], asJson: boolean): string {
  // Neither salt nor hash.
  const shown = tokens.map(({ id, description, scopes, created, expires, requests_per_minute }) => ({
    ...{ id, description, scopes, created, expires, requests_per_minute },
  }));
  if (asJson) return shown.map((token) => `${JSON.stringify(token)}\n`).join('');
  if (shown.length === 0) return 'no tokens\n';
  return shown
    .map(({ id, description, expires, scopes }) => {
      const texts = scopes.map(({ access, database, table }) => `${access}:${database}.${table}`);
      return `${id}  ${texts.join(' ')}  ${expires === null ? 'for ever' : `until ${expires}`}  ${description}\n`;
    })
    .join('');
}

async function revoke(tokens: TokenBook, id: string | undefined): Promise<string> {
  if (id === undefined) throw new Failure('bad_param', 'say which: --id, as "token list" shows it');
  if (!(await tokens.revoke(id))) throw new Failure('bad_param', `there is no token ${id}`);
  return `token ${id} is revoked; running servers know within seconds\n`;
}
