/** Answers that are needed whole and are small: their rows as JSON has them. At most `rowsMax`, which the caller must give. */
import type { QueryEngine, QueryRequest } from '../query/query-engine.js';
import { renderAnswer } from '../query/render-answer.js';

export type JsonCell = string | number | boolean | null;

export interface CollectedRows {
  readonly rows: readonly (readonly JsonCell[])[];
  readonly isTruncated: boolean;
}

export async function collectRows(
  engine: QueryEngine,
  request: QueryRequest & { readonly rowsMax: number },
  client: AbortSignal,
): Promise<CollectedRows> {
  const answer = await engine.query(request, client);
  let text = '';
  for await (const piece of renderAnswer(answer, 'json')) text += Buffer.from(piece).toString();
  const { rows, truncated } = JSON.parse(text) as { rows: JsonCell[][]; truncated: boolean };
  return { rows, isTruncated: truncated };
}
