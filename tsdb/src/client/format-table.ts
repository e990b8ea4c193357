/**
 * Rows as aligned text for a terminal: numbers to the right, everything else to the left.
 */

/** Longer values are cut: a table is for looking, `--json` for everything. */
const cellCharactersMax = 80;

export function formatTable(names: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) => row.map(cellText));
  const widths = names.map((name, column) =>
    Math.max(lengthOf(name), ...cells.map((row) => lengthOf(row[column] ?? ''))),
  );
  const isNumeric = names.map((_, column) => rows.some((row) => typeof row[column] === 'number'));
  const line = (texts: readonly string[]) =>
    texts
      .map((text, column) => pad(text, widths[column] ?? 0, isNumeric[column] ?? false))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  return [line(names.map(cellText)), rule, ...cells.map(line), ''].join('\n');
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const shown = text.length > cellCharactersMax ? `${text.slice(0, cellCharactersMax - 1)}…` : text;
  // Control characters in a value must not command the terminal.
  return shown.replaceAll(/\p{Cc}/gu, '·');
}

function pad(text: string, width: number, toTheRight: boolean): string {
  const space = ' '.repeat(Math.max(0, width - lengthOf(text)));
  return toTheRight ? space + text : text + space;
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}
