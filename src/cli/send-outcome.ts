/** What can become of an event that was sent, and how that reads. */
import type { Books } from '../books.ts';
import type { Paint, Row } from './terminal.ts';
import { plain } from './terminal.ts';

/** What the stores show. */
export type Found =
  | { readonly kind: 'row'; readonly row: Row }
  | { readonly kind: 'dead_letter'; readonly letter: Row }
  | { readonly kind: 'dropped'; readonly reason: string; readonly warnings: readonly string[] }
  | { readonly kind: 'discarded'; readonly reason: string };

/** `ms`: since it was sent. */
export type Outcome = (
  | Found
  | { readonly kind: 'refused'; readonly status: number; readonly text: string }
  | { readonly kind: 'none'; readonly books: Books }
) & { readonly ms: number };

/** Lines for people. */
export function outcomeText(outcome: Outcome, paint: Paint): readonly string[] {
  const title = (style: 'green' | 'red' | 'yellow', name: string) =>
    `${paint(style, name.padEnd(12))}  ${outcome.ms} ms`;
  switch (outcome.kind) {
    case 'row':
      return [title('green', 'row'), ...fields(outcome.row, paint)];
    case 'dead_letter':
      return [title('red', 'dead letter'), ...fields(outcome.letter, paint)];
    case 'dropped':
      return [
        `${title('yellow', 'dropped')}  there is no row, for the reason ${outcome.reason}`,
        ...outcome.warnings.map((warning) => `  warning: ${plain(warning)}`),
      ];
    case 'discarded':
      return [
        `${title('yellow', 'discarded')}  at the door, which keeps none of its kind: ${outcome.reason}`,
      ];
    case 'refused':
      return [`${title('red', 'refused')}  status ${outcome.status}: ${plain(outcome.text)}`];
    case 'none': {
      const { waiting, in_flight, held } = outcome.books;
      return [
        `${title('yellow', 'no row yet')}  the event is safe in the log; of all events, ` +
          `${waiting} wait, ${in_flight} are in flight, ${held} are held`,
        '  GET /_ready on the console port says whether something is missing.',
      ];
    }
  }
}

function fields(row: Row, paint: Paint): string[] {
  const width = Math.max(...Object.keys(row).map((name) => name.length));
  return Object.entries(row).map(([name, value]) => `  ${paint('dim', name.padEnd(width))}  ${plain(value)}`);
}

/** Fields for programs. */
export function outcomeRecord({ ms, ...outcome }: Outcome): Row {
  switch (outcome.kind) {
    case 'row':
      return { outcome: 'row', row_ms: ms, row: outcome.row };
    case 'dead_letter':
      return { outcome: 'dead_letter', ...outcome.letter };
    case 'dropped':
      return { outcome: 'dropped', reason: outcome.reason, warnings: outcome.warnings };
    case 'discarded':
      return { outcome: 'discarded', reason: outcome.reason };
    case 'refused':
      return { outcome: 'refused', status: outcome.status, text: outcome.text };
    case 'none':
      return { outcome: 'none', waited_ms: ms, ledger: outcome.books };
  }
}
