/** Which reasons of the door came up, read from the books. */
import type { Books } from '../../src/books.ts';
import { DISCARD_REASONS, REFUSAL_REASONS } from '../../src/event/outcome.ts';
import { BY_CONDITION, NEVER } from './directed.ts';

export interface Covered {
  readonly ending: 'refused' | 'discarded' | 'dead letter';
  readonly reason: string;
  readonly count: number;
  /** What brought it about, where inputs alone do not. */
  readonly by: string;
}

/** The only dead letters that the door writes itself. */
const DEAD_LETTERS_OF_THE_DOOR = {
  refused_by_log: 'a door of its own; on Kafka: test/kafka/spool-refused.test.ts',
} as const;

type Notes = Readonly<Record<string, string>>;

/** `doors`: the system's, and those of `conditions.ts`. */
export function coverage(doors: readonly Books['door'][]): readonly Covered[] {
  const covered = (
    ending: Covered['ending'],
    kind: keyof Books['door'],
    reasons: readonly string[],
    notes: Notes,
  ): Covered[] =>
    reasons.map((reason) => ({
      ending,
      reason,
      count: doors.reduce((sum, door) => sum + (door[kind][reason] ?? 0), 0),
      by: notes[reason] ?? '',
    }));
  return [
    ...covered('refused', 'refused', REFUSAL_REASONS, { ...BY_CONDITION, ...NEVER }),
    ...covered('discarded', 'discarded', DISCARD_REASONS, {}),
    ...covered(
      'dead letter',
      'dead_lettered',
      Object.keys(DEAD_LETTERS_OF_THE_DOOR),
      DEAD_LETTERS_OF_THE_DOOR,
    ),
  ];
}

export function coverageProblems(
  rows: readonly Covered[],
  doors: readonly Books['door'][],
): readonly string[] {
  const known = new Set(rows.map(({ reason }) => reason));
  const unknown = doors.flatMap((door) =>
    [door.refused, door.discarded, door.dead_lettered]
      .flatMap(Object.keys)
      .filter((reason) => !known.has(reason)),
  );
  return [
    ...rows
      .filter(({ reason, count }) => count === 0 && !Object.hasOwn(NEVER, reason))
      .map(({ ending, reason }) => `no input was ${ending} as ${reason}`),
    ...rows
      .filter(({ reason, count }) => count > 0 && Object.hasOwn(NEVER, reason))
      .map(({ reason, count }) => `${count} times ${reason}`),
    ...unknown.map((reason) => `the door gave the reason ${reason}, which is in no list of it`),
  ];
}
