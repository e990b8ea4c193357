/** Certificates and keys in a configuration: PEM texts, or the paths of files with them. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf } from '../errors.js';
import type { ConfigProblem } from './read-config.js';

/** Each a PEM text, or the absolute path of a file with one. Files are renewed while programs run: read them when they are used. */
export interface TlsConfig {
  /** Authorities that the other side's certificate may come from. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  /** A secret: never log it. */
  readonly key?: string | undefined;
}

export function isPem(text: string): boolean {
  return text.includes('-----BEGIN ');
}

/** @throws an error of the file system */
export function readPem(written: string): string {
  return isPem(written) ? written : readFileSync(written, 'utf8');
}

/** What is wrong with the option at `path`: no PEM, no such file, a key that belongs to another certificate. */
export function checkPems(path: string, tls: TlsConfig): ConfigProblem[] {
  const problem = (option: string, message: string): ConfigProblem[] => [
    { line: undefined, path: `${path}.${option}`, message },
  ];
  for (const option of ['ca', 'cert', 'key'] as const) {
    const written = tls[option];
    if (written === undefined) continue;
    try {
      if (option === 'key') createPrivateKey(readPem(written));
      else new X509Certificate(readPem(written));
    } catch (error) {
      const what = option === 'key' ? 'private key without a passphrase' : 'certificate';
      return problem(option, `is no ${what} in PEM (${messageOf(error)}): write a file's path, or its text`);
    }
  }
  const { cert, key } = tls;
  if (cert === undefined || key === undefined) return [];
  const isPair = new X509Certificate(readPem(cert)).checkPrivateKey(createPrivateKey(readPem(key)));
  return isPair ? [] : problem('key', 'is not the key of `cert`: write the one that belongs to it');
}
