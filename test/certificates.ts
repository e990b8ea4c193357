/** Certificates for tests, made by `openssl`: an authority, a broker's for 127.0.0.1, an agent's. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface KeyPair {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
}

export class TestAuthority {
  readonly cert: string;
  readonly #dir: string;
  readonly #key: string;

  /** Its files lie in `dir`, which is made. */
  constructor(dir: string) {
    mkdirSync(dir, { recursive: true });
    this.#dir = dir;
    this.cert = join(dir, 'ca.pem');
    this.#key = join(dir, 'ca.key');
    const subject = ['-subj', '/CN=test authority', '-days', '2'];
    openssl(['req', '-x509', ...newKey(this.#key), ...subject, '-out', this.cert]);
  }

  /** A certificate for 127.0.0.1 in this name. */
  issue(name: string): KeyPair {
    const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((end) =>
      join(this.#dir, `${name}.${end}`),
    ) as [string, string, string, string];
    writeFileSync(extensions, 'subjectAltName = IP:127.0.0.1\n');
    openssl(['req', ...newKey(key), '-subj', `/CN=${name}`, '-out', request]);
    const by = ['-CA', this.cert, '-CAkey', this.#key, '-CAcreateserial', '-days', '2'];
    openssl(['x509', '-req', '-in', request, ...by, '-extfile', extensions, '-out', cert]);
    return { cert, key };
  }
}

function newKey(path: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', path];
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
