/**
 * Bodies smaller on the wire, piece by piece: zstd where this Node has it, else brotli or gzip, as the client accepts.
 */
import { PassThrough, pipeline, type Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';

export type Encoding = 'zstd' | 'br' | 'gzip';

/** Since Node 22.15; the types are of Node 20. */
const createZstd = (zlib as { createZstdCompress?: () => Transform }).createZstdCompress;

/** Fast rather than small: answers are made as fast as they are sent. */
const compressors: Readonly<Record<Encoding, (() => Transform) | undefined>> = {
  zstd: createZstd,
  br: () => zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } }),
  gzip: () => zlib.createGzip({ level: 3 }),
};

/** Undefined: as it is. */
export function acceptedEncoding(accept: string | undefined): Encoding | undefined {
  const accepted = new Set(
    (accept ?? '')
      .toLowerCase()
      .split(',')
      .map((part) => part.trim())
      .filter((part) => !/;\s*q=0(\.0*)?$/.test(part))
      .map((part) => part.split(';')[0]?.trim()),
  );
  return (['zstd', 'gzip', 'br'] as const).find((name) => accepted.has(name) && compressors[name]);
}

/** A body that breaks off breaks the compressed one off too, and the other way round. */
export function compress(body: Readable, encoding: Encoding): Readable {
  const compressor = compressors[encoding]?.() ?? new PassThrough();
  // The error reaches whoever reads the compressor.
  return pipeline(body, compressor, () => undefined);
}
