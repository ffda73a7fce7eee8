/** What can become of an event that was sent, and how that reads. */
import type { Books } from '../books.ts';
import type { HeldAnswer } from '../console/held.ts';
import { clockTime, quoted } from './hold-text.ts';
import type { Paint, Row } from './terminal.ts';
import { plain } from './terminal.ts';

export type Held = Extract<HeldAnswer, { state: 'held' }>;
export type Released = Extract<HeldAnswer, { state: 'released' }>;

/** What is told on the way. */
export type Step =
  | { readonly kind: 'held'; readonly hold: Held; readonly ms: number }
  | { readonly kind: 'released'; readonly hold: Released; readonly ms: number };

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
export function outcomeText(outcome: Step | Outcome, paint: Paint): readonly string[] {
  const title = (style: 'green' | 'red' | 'yellow', name: string) =>
    `${paint(style, name.padEnd(12))}  ${outcome.ms} ms`;
  switch (outcome.kind) {
    case 'held': {
      const id = quoted(outcome.hold.distinct_id);
      return [
        `${title('yellow', 'held')}  until ${clockTime(Date.parse(outcome.hold.until))}: nobody knows yet who ${id} is`,
        `  An $identify or alias that names ${id} lets it go on at once, under the right person; else time does.`,
        '  It goes on without this command, too. BUFFER_CONVERSION_SECONDS=0 at the start turns the hold off.',
      ];
    }
    case 'released':
      return [`${title('green', 'released')}  ${releaseText(outcome.hold)}`];
    case 'row':
      return [title('green', 'row'), ...fields(outcome.row, paint)];
    case 'dead_letter':
      return [
        `${title('red', 'dead letter')}  npm run dead-letters -- list, show UUID: what to do about it`,
        ...fields(outcome.letter, paint),
      ];
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

function releaseText({ by, by_event, distinct_id }: Released): string {
  const id = quoted(distinct_id);
  switch (by) {
    case 'person':
      if (by_event === null) return `another event gave ${id} a person`;
      return `by ${quoted(by_event.name)} (${plain(by_event.uuid)}), which gave ${id} a person`;
    case 'time':
      return `by time: nobody said who ${id} is`;
    case 'memory':
      return 'early: held events took more memory than HOLD_MB, and this was among the oldest';
  }
}

function fields(row: Row, paint: Paint): string[] {
  const width = Math.max(...Object.keys(row).map((name) => name.length));
  return Object.entries(row).map(([name, value]) => `  ${paint('dim', name.padEnd(width))}  ${plain(value)}`);
}

/** The hold for programs; `null`: the event was not held. */
export function holdRecord(steps: readonly (Step | Outcome)[]): Row | null {
  const held = steps.find((step) => step.kind === 'held')?.hold;
  const released = steps.find((step) => step.kind === 'released')?.hold;
  const hold = held ?? released;
  if (hold === undefined) return null;
  return {
    distinct_id: hold.distinct_id,
    until: held?.until ?? null,
    events: held?.events ?? null,
    released_by: released?.by ?? null,
    released_by_event: released?.by_event ?? null,
  };
}

/** Fields for programs. */
export function outcomeRecord({ ms, ...outcome }: Step | Outcome): Row {
  switch (outcome.kind) {
    case 'held':
      return { outcome: 'held', held_ms: ms };
    case 'released':
      return { outcome: 'released', released_ms: ms };
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
