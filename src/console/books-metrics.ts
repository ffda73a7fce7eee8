/** The books as metrics, brought up to date whenever they are asked for. */
import type { Books } from '../books.ts';
import type { Metrics } from '../metrics.ts';

const FIGURES = ['acknowledged', 'waiting', 'held', 'in_flight', 'rows', 'imbalance', 'spooled'] as const;

export function booksMetrics(metrics: Metrics): (books: Books) => void {
  const events = metrics.gauge('tributary_ledger_events', 'Events by what became of them', [
    'fate',
    'reason',
  ]);
  const door = metrics.gauge('tributary_ledger_door_events', 'Events that ended at the door', [
    'fate',
    'reason',
  ]);
  return (books) => {
    for (const fate of FIGURES) events.set({ fate, reason: '' }, books[fate]);
    for (const fate of ['dead_lettered', 'dropped'] as const) {
      for (const [reason, count] of Object.entries(books[fate])) events.set({ fate, reason }, count);
    }
    for (const fate of ['refused', 'dead_lettered', 'discarded'] as const) {
      for (const [reason, count] of Object.entries(books.door[fate])) door.set({ fate, reason }, count);
    }
  };
}
