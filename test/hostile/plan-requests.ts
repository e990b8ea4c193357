/**
 * Hostile requests made from a server's own description: every operation, every parameter and every member of a body gets values
 * that it does not expect, one at a time with good ones beside it, and some all at once. Pure, the same for the same seed.
 */
import type { Random } from '../torture/seeded-random.js';

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly anyOf?: readonly Schema[];
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required?: boolean;
  readonly schema: Schema;
}

interface Operation {
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } };
}

export interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface HostileRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The operation and what of it is struck. */
  readonly struck: string;
}

export interface RequestPlan {
  /** How many hostile values each parameter gets. */
  readonly perParameter: number;
  /** How many requests per operation have several at once. */
  readonly perOperation: number;
  /** Values that ought to be good, by the parameter's name. */
  readonly good: Readonly<Record<string, string>>;
  /** Of changes: those must not hit the tables that are judged afterwards. */
  readonly goodOfChanges: Readonly<Record<string, string>>;
  /** Files that must not be read. */
  readonly canaries: readonly string[];
}

const values = [
  ...[
    '',
    ' ',
    '0',
    '-1',
    '1e309',
    'NaN',
    '0x10',
    'null',
    'true',
    '[]',
    '{}',
    '[[[[',
    '{"__proto__":1}',
    '1;2',
    'a,b,,c',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    '*',
    '%',
    '%00',
    '\u0000',
    '"',
    "'",
    '\\',
    '`',
    '$1',
    '${HOME}',
    '{{7*7}}',
  ],
  ...[
    "'; drop table environment; --",
    'environment.environment.x',
    '../../../etc/passwd',
    '..',
    '.',
    '/',
    '//',
    'CON',
  ],
  ...[
    'é\u202e😀',
    '\ud800',
    'x'.repeat(5_000),
    '('.repeat(2_000),
    '9999999999999999999',
    '1.5',
    '-0',
    '2147483648',
  ],
  ...[
    'now',
    '-6h',
    '9999y',
    '1ns',
    '-1s',
    '0s',
    '1mo',
    '2026-01-01T00:00:00Z',
    '0000-00-00',
    '9999-12-31',
    '275760-09-14',
  ],
  ...[
    'Europe/Berlin',
    'Mars/Olympus',
    'csv',
    'arrow',
    'parquet',
    'json',
    'pretty',
    'linear',
    'previous',
    'avg,p95,time_avg',
  ],
  ...[
    'select 1',
    'select * from environment',
    'with recursive x as (select 1 union all select 1 from x) from x',
    'dev-*',
  ],
];
const things = [1, -1, 0.5, 2e9, 1e308, null, true, [], {}, [[]], ['a'], { a: { b: [] } }, '', 'x'];
const mediaTypes = [
  'application/json',
  'application/x-www-form-urlencoded',
  'text/plain',
  'text/xml',
  'application/json; charset=utf-7',
];
const accepted = [
  '*/*',
  'text/csv',
  'image/png',
  'application/json;q=0',
  ',,;q=',
  'application/vnd.apache.arrow.stream',
];
const bodies = [
  '',
  '{',
  'null',
  '[]',
  '"x"',
  '1e999',
  '{"sql":',
  '{"sql":"select 1","sql":2}',
  '\u0000',
  '[['.repeat(10_000),
];

export function* planRequests(
  description: Description,
  plan: RequestPlan,
  random: Random,
): Generator<HostileRequest> {
  for (const [path, operations] of Object.entries(description.paths))
    for (const [method, operation] of Object.entries(operations))
      yield* new OperationPlan(method.toUpperCase(), path, operation, plan, random).requests();
}

class OperationPlan {
  readonly #method: string;
  readonly #path: string;
  readonly #operation: Operation;
  readonly #plan: RequestPlan;
  readonly #random: Random;
  readonly #members: readonly string[];

  constructor(method: string, path: string, operation: Operation, plan: RequestPlan, random: Random) {
    [this.#method, this.#path, this.#operation, this.#plan, this.#random] = [
      method,
      path,
      operation,
      plan,
      random,
    ];
    const schema = operation.requestBody?.content['application/json'].schema;
    this.#members = Object.keys(schema?.properties ?? {});
  }

  *requests(): Generator<HostileRequest> {
    const names = this.#operation.parameters.map(({ name }) => name);
    for (let count = 0; count < this.#plan.perParameter; count += 1) {
      for (const name of names) yield this.#request(new Set([name]), `parameter ${name}`);
      for (const name of this.#members) yield this.#request(new Set([`body ${name}`]), `member ${name}`);
    }
    for (let count = 0; count < this.#plan.perOperation; count += 1) yield this.#request(undefined, 'all');
    if (this.#operation.requestBody)
      for (const body of bodies) yield { ...this.#request(new Set(), 'body'), body };
  }

  /** `struck`: what is hostile; undefined: by chance. */
  #request(struck: ReadonlySet<string> | undefined, what: string): HostileRequest {
    const isStruck = (name: string) => struck?.has(name) ?? this.#random() < 0.4;
    const path = this.#path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      encodeText(isStruck(name) ? this.#hostile() : this.#good(name)),
    );
    const pairs: string[] = [];
    for (const { name, required } of this.#operation.parameters.filter((one) => one.in === 'query')) {
      const isBad = isStruck(name);
      if (!isBad && required !== true) continue;
      const text = isBad ? this.#hostile() : this.#good(name);
      pairs.push(`${encodeText(name === 'tags' ? 'device' : name)}=${encodeText(text)}`);
    }
    if (struck === undefined && this.#random() < 0.3) pairs.push(`${encodeText(this.#hostile())}=1`);
    const query = pairs.length > 0 ? `?${pairs.join('&')}` : '';
    const isWild = struck === undefined;
    return {
      method: this.#method,
      path: path + query,
      headers: {
        accept: isWild ? this.#pick(accepted) : '*/*',
        ...(this.#operation.requestBody && {
          'content-type': isWild ? this.#pick(mediaTypes) : 'application/json',
        }),
      },
      ...(this.#operation.requestBody && { body: this.#body(isStruck) }),
      struck: `${this.#method} ${this.#path}, ${what}`,
    };
  }

  #body(isStruck: (name: string) => boolean): string {
    const members = this.#members.flatMap((name): [string, unknown][] => {
      if (isStruck(`body ${name}`))
        return [[name, this.#random() < 0.5 ? this.#hostile() : this.#pick(things)]];
      const good = this.#good(name);
      return good === '' ? [] : [[name, name === 'dry_run' ? true : good]];
    });
    return JSON.stringify(Object.fromEntries(members));
  }

  #good(name: string): string {
    const { good, goodOfChanges } = this.#plan;
    return (this.#method === 'GET' ? good[name] : (goodOfChanges[name] ?? good[name])) ?? '';
  }

  #hostile(): string {
    return this.#pick([...values, ...this.#plan.canaries]);
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }
}

/** A lone surrogate has no encoding. */
function encodeText(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString());
}
