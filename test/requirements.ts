/**
 * What some tests need of the machine. Each answers with what is there, and with the reason to skip where it is not:
 * `test('…', { skip: skipWithoutS3() }, …)`. `VARVE_TEST_REQUIRE` makes such a skip a failure (`run-tests.ts`).
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The path of the `mosquitto` program. */
export function mosquitto(): string | undefined {
  return findProgram('mosquitto');
}

/** Debian keeps some where only root's path leads. */
function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

export function skipWithoutOpenssl(): string | false {
  return findProgram('openssl') === undefined && 'needs OpenSSL: install the package "openssl"';
}

export function skipWithoutMosquitto(): string | false {
  return mosquitto() === undefined && 'needs Mosquitto: install the package "mosquitto"';
}

export interface S3TestStore {
  readonly endpoint: string;
  /** Exists, and takes whatever tests put under prefixes of their own. */
  readonly bucket: string;
}

/** From `VARVE_TEST_S3`, a JSON object; credentials come in the variables of the AWS SDK. */
export function s3(): S3TestStore | undefined {
  const text = process.env.VARVE_TEST_S3;
  if (text === undefined || text === '') return undefined;
  const { endpoint, bucket } = JSON.parse(text) as Partial<S3TestStore>;
  if (endpoint === undefined || bucket === undefined)
    throw new Error(`VARVE_TEST_S3 must be {"endpoint": "http://…", "bucket": "…"}, not ${text}`);
  return { endpoint, bucket };
}

export function skipWithoutS3(): string | false {
  return (
    s3() === undefined && 'needs S3: set VARVE_TEST_S3={"endpoint": "http://…", "bucket": "…"} and AWS_* keys'
  );
}
