/** What a bench found: tables for people, or all of it as JSON. */

export type Cell = string | number;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

export interface Report {
  readonly bench: string;
  readonly tables: readonly Table[];
  /** A sentence each, with the targets and whether they were met. */
  readonly findings: readonly string[];
}

export function formatReport({ bench, tables, findings }: Report): string {
  const parts = [`# ${bench}`, ...tables.map(formatTable), findings.map((line) => `- ${line}`).join('\n')];
  return `${parts.join('\n\n')}\n`;
}

/** As Markdown, so that it may be pasted where it is wanted. */
function formatTable({ title, columns, rows }: Table): string {
  const texts = [columns, ...rows].map((row) => row.map(formatCell));
  const widths = columns.map((_, index) => Math.max(...texts.map((row) => row[index]?.length ?? 0)));
  const [head = '', ...body] = texts.map((row) => formatRow(row, widths));
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [title, '', head, rule, ...body].join('\n');
}

function formatRow(cells: readonly string[], widths: readonly number[]): string {
  const padded = widths.map((width, index) =>
    index === 0 ? (cells[index] ?? '').padEnd(width) : (cells[index] ?? '').padStart(width),
  );
  return `| ${padded.join(' | ')} |`;
}

function formatCell(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  const decimals = Math.abs(cell) >= 100 ? 0 : Math.abs(cell) >= 10 ? 1 : 2;
  return cell.toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** `met` beside a target, so that nobody has to compare. */
export function verdict(isMet: boolean): string {
  return isMet ? 'met' : 'MISSED';
}
