/**
 * A token, `varve_<id>_<secret>`, and what the store keeps of it: who may ask what, and a scrypt hash of the secret.
 *
 * The secret has 256 random bits and is shown once. Secrets are never logged, and never part of an error.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';

export const accessLevels = ['read', 'write', 'admin'] as const;
export type AccessLevel = (typeof accessLevels)[number];

/** Each level includes those before it. `*` stands for all. */
export interface Scope {
  readonly access: AccessLevel;
  readonly database: string;
  readonly table: string;
}

const bytesInHex = (count: number) => z.string().regex(new RegExp(`^[0-9a-f]{${count * 2}}$`));
const storedSchema = z.object({
  format: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{12}$/),
  description: z.string().max(200),
  created: z.iso.datetime(),
  expires: z.iso.datetime().nullable(),
  requests_per_minute: z.int().min(1).nullable(),
  scopes: z
    .array(
      z.object({ access: z.enum(accessLevels), database: z.string().max(200), table: z.string().max(200) }),
    )
    .min(1)
    .max(100),
  salt: bytesInHex(16),
  hash: bytesInHex(32),
});
export type StoredToken = z.output<typeof storedSchema>;

export interface NewToken extends Pick<
  StoredToken,
  'description' | 'expires' | 'requests_per_minute' | 'scopes'
> {
  readonly created: string;
}

const hashBytes = 32;
const derive = promisify<string, Buffer, number, Buffer>(scrypt);

export async function makeToken(wanted: NewToken): Promise<{ text: string; stored: StoredToken }> {
  const id = randomBytes(6).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  const salt = randomBytes(16);
  const hash = await derive(secret, salt, hashBytes);
  return {
    text: `varve_${id}_${secret}`,
    stored: { format: 1, id, ...wanted, salt: salt.toString('hex'), hash: hash.toString('hex') },
  };
}

/** Undefined where the text is none. */
export function parseToken(text: string): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = /^varve_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** Takes tens of milliseconds, on a thread of its own. */
export async function isSecretOf(secret: string, { salt, hash }: StoredToken): Promise<boolean> {
  return timingSafeEqual(await derive(secret, Buffer.from(salt, 'hex'), hashBytes), Buffer.from(hash, 'hex'));
}

/** Undefined where an object is no token of this format. */
export function readStoredToken(bytes: Uint8Array): StoredToken | undefined {
  try {
    return storedSchema.safeParse(JSON.parse(Buffer.from(bytes).toString())).data;
  } catch {
    return undefined;
  }
}

/** `read`, `write:environment`, `read:lab.*`; undefined where the text is none. */
export function parseScope(text: string): Scope | undefined {
  const [, access, database, table] =
    /^(read|write|admin)(?::(?:([a-z_*][a-z0-9_]*)\.)?([a-z_*][a-z0-9_]*))?$/.exec(text) ?? [];
  if (access === undefined) return undefined;
  if (table === undefined) return { access: access as AccessLevel, database: '*', table: '*' };
  return { access: access as AccessLevel, database: database ?? 'main', table };
}
