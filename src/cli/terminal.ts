/** What commands print: aligned and coloured on a terminal, JSON lines otherwise. */
import { stripVTControlCharacters } from 'node:util';
import { isGiven } from '../config.ts';

export type Row = Readonly<Record<string, unknown>>;

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';
const CODES: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

export type Paint = (style: Style, text: string) => string;

/** Colours on a terminal, unless its user wants none (`NO_COLOR`). */
export function paintFor(stream: { readonly isTTY?: boolean }, noColor = isGiven('NO_COLOR')): Paint {
  if (!stream.isTTY || noColor) return (_, text) => text;
  return (style, text) => `\x1b[${CODES[style]}m${text}\x1b[0m`;
}

const CELL_CHARS_MAX = 80;

/** Rows as an aligned table with a header; numbers to the right. */
export function table(rows: readonly Row[], paint: Paint, columnsMax = Number.POSITIVE_INFINITY): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const columns = names.map((name) => {
    const cells = rows.map((row) => cell(row[name]));
    const width = Math.max(name.length, ...cells.map((text) => text.length));
    const right = rows.every((row) => typeof row[name] === 'number' || row[name] == null);
    const pad = (text: string) => (right ? text.padStart(width) : text.padEnd(width));
    return { header: paint('bold', pad(name)), cells: cells.map(pad) };
  });
  const lines = [
    columns.map(({ header }) => header),
    ...rows.map((_, index) => columns.map(({ cells }) => cells[index] ?? '')),
  ].map((parts) => parts.join('  ').trimEnd());
  if (lines.some((line) => stripVTControlCharacters(line).length > columnsMax)) return sheets(rows, paint);
  return `${lines.join('\n')}\n`;
}

/** One line for each value: for rows that are wider than the terminal. */
function sheets(rows: readonly Row[], paint: Paint): string {
  const blocks = rows.map((row) => {
    const width = Math.max(...Object.keys(row).map((name) => name.length));
    return Object.entries(row)
      .map(([name, value]) => `${paint('bold', name.padEnd(width))}  ${plain(value)}`)
      .join('\n');
  });
  return `${blocks.join('\n\n')}\n`;
}

function cell(value: unknown): string {
  const text = plain(value);
  return text.length > CELL_CHARS_MAX ? `${text.slice(0, CELL_CHARS_MAX - 1)}…` : text;
}

/** Without control characters: data must not move the cursor of whoever looks at it. */
export function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : value === null ? 'NULL' : JSON.stringify(value);
  return (text ?? '').replace(/[\0-\x1f\x7f-\x9f]/g, escaped);
}

function escaped(char: string): string {
  const text = JSON.stringify(char).slice(1, -1);
  // JSON leaves DEL and the C1 controls as they are.
  return text === char ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}` : text;
}

export function jsonLines(rows: readonly Row[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}
