/**
 * Multipart uploads of the planted S3 server: what each of their requests does, and the XML that answers it.
 */

export interface PlantedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly ifNoneMatch: boolean;
  readonly body: Buffer;
}

export interface PlantedEffect {
  readonly status: number;
  readonly text?: string;
}

export class PlantedUploads {
  /** As Ceph 16: completing an upload overwrites. */
  ignoresConditions = false;
  readonly #objects: Map<string, Buffer>;
  readonly #unfinished = new Map<string, Map<number, Buffer>>();
  #beginCount = 0;

  constructor(objects: Map<string, Buffer>) {
    this.#objects = objects;
  }

  get unfinishedCount(): number {
    return this.#unfinished.size;
  }

  /** Undefined where the request is not about an upload. */
  takeEffect(request: PlantedRequest): PlantedEffect | undefined {
    const { method, query } = request;
    if (method === 'POST' && query.has('uploads')) return this.#begin();
    const uploadId = query.get('uploadId');
    if (uploadId === null) return undefined;
    const parts = this.#unfinished.get(uploadId);
    if (parts === undefined) return { status: 404, text: '<Error><Code>NoSuchUpload</Code></Error>' };
    if (method === 'POST') return this.#complete(uploadId, parts, request);
    if (method === 'PUT') parts.set(Number(query.get('partNumber')), request.body);
    else this.#unfinished.delete(uploadId);
    return { status: method === 'PUT' ? 200 : 204 };
  }

  #begin(): PlantedEffect {
    const uploadId = `upload-${++this.#beginCount}`;
    this.#unfinished.set(uploadId, new Map());
    const text = `<InitiateMultipartUploadResult><UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`;
    return { status: 200, text };
  }

  #complete(uploadId: string, parts: Map<number, Buffer>, request: PlantedRequest): PlantedEffect {
    const { path, ifNoneMatch, body } = request;
    if (ifNoneMatch && !this.ignoresConditions && this.#objects.has(path)) return { status: 412 };
    const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)</g)].map(([, digits]) => Number(digits));
    this.#objects.set(path, Buffer.concat(numbers.map((number) => parts.get(number) ?? Buffer.alloc(0))));
    this.#unfinished.delete(uploadId);
    // Ceph's ETag is empty here.
    const text = '<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>';
    return { status: 200, text };
  }
}

/** `begin`, `part 3`, `complete`, `abort`; undefined where the request is not about an upload. */
export function nameUploadRequest(method: string, query: URLSearchParams): string | undefined {
  if (query.has('uploads')) return 'begin';
  if (!query.has('uploadId')) return undefined;
  if (method === 'PUT') return `part ${query.get('partNumber')}`;
  return method === 'POST' ? 'complete' : 'abort';
}
