/** The gaps that a kill can hit, and what says from the durable state that it did. */
import type { Attempt } from './torture-client.ts';
import type { Remains } from './torture-remains.ts';

export const GAPS = {
  'before append': 'a request had no answer, and none of its events is in the log',
  'append to answer': 'a request had no answer, and its events are in the log',
  'inside a save': 'a save was open in Postgres, and was rolled back',
  'inside a merge': 'a save that had merged persons was open in Postgres, and was rolled back',
  'commit to produce': 'events were folded, and their rows are not on the output topic',
  'produce to progress': 'rows are on the output topic, and the saved progress does not have their fate',
  'inside an insert': 'ClickHouse has rows, or begun parts, of a batch that the loader has not committed',
  'full hold': 'the saved progress has at least 100 held events',
} as const;

export type Gap = keyof typeof GAPS;
export const GAP_NAMES = Object.keys(GAPS) as readonly Gap[];

export const HELD_MIN = 100;

/** A gap that was hit, and how much was in it. */
export type Hits = ReadonlyMap<Gap, number>;

/** `attempts`: requests that were under way at the kill. `logged`: uuids that came to the log since the last one. */
export function hitsOf(remains: Remains, attempts: readonly Attempt[], logged: ReadonlySet<string>): Hits {
  const unanswered = attempts.filter(({ outcome }) => outcome === 'lost');
  const isLogged = ({ uuids }: Attempt): boolean => uuids.some((uuid) => logged.has(uuid));
  const counts: Readonly<Record<Gap, number>> = {
    'before append': unanswered.filter((attempt) => !isLogged(attempt)).length,
    'append to answer': unanswered.filter(isLogged).length,
    'inside a save': remains.rolledBack.length,
    'inside a merge': remains.rolledBack.filter(({ isMerging }) => isMerging).length,
    'commit to produce': remains.notProduced,
    'produce to progress': remains.notSettled,
    'inside an insert': remains.rowsNotCommitted + remains.partsBegun,
    'full hold': remains.held < HELD_MIN ? 0 : remains.held,
  };
  return new Map(GAP_NAMES.map((gap) => [gap, counts[gap]] as const).filter(([, count]) => count > 0));
}
