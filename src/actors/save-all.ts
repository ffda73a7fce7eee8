/** Saves works together; data that Postgres refuses is narrowed down to its person, then to its event. */
import type { FoldOutcome } from '../person/fold.ts';
import type { Known } from '../person/known.ts';
import { DataRefusedError, type PersonWork, type Saved } from '../storage/person-store.ts';
import type { Routed } from './entry.ts';
import { invariant } from './lifecycle.ts';

/** Events with the work that saves them. */
export interface FoldedPart {
  readonly routed: readonly Routed[];
  readonly work: PersonWork;
}

export type SavedPart = Extract<Saved, { kind: 'saved' }>;
type Save = (works: readonly PersonWork[]) => Promise<readonly Saved[]>;
/** Some of a part's events, on what is believed by then. */
type FoldAgain = (part: FoldedPart, believed: Known, routed: readonly Routed[]) => PersonWork;

/** One result for each part, in order. Rejects as `save` does, but for refused data. */
export async function saveAll(
  parts: readonly FoldedPart[],
  save: Save,
  foldAgain: FoldAgain,
): Promise<readonly Saved[]> {
  const works = parts.map(({ work }) => work);
  // Where nothing hangs on a person's state there is nothing to check, to write or to fold twice.
  if (works.every(({ checked }) => !checked)) return works.map(asBelieved);
  try {
    return await save(works);
  } catch (error) {
    if (!(error instanceof DataRefusedError)) throw error;
    const [only] = parts;
    if (only && parts.length === 1) return [await saveOneByOne(only, save, foldAgain, error)];
    const middle = parts.length >> 1;
    return [
      ...(await saveAll(parts.slice(0, middle), save, foldAgain)),
      ...(await saveAll(parts.slice(middle), save, foldAgain)),
    ];
  }
}

const asBelieved = ({ folded }: PersonWork): SavedPart => ({
  kind: 'saved',
  folded,
  moved: [],
  groups: [],
  oversized: [],
});

async function saveOneByOne(
  part: FoldedPart,
  save: Save,
  foldAgain: FoldAgain,
  refused: DataRefusedError,
): Promise<SavedPart> {
  const saved: SavedPart[] = [];
  const outcomes: FoldOutcome[] = [];
  let known = part.work.believed;
  for (const one of part.routed) {
    const work = foldAgain(part, known, [one]);
    const result = await saveEvent(work, part.routed.length, save, refused);
    if (result === 'refused') {
      const { message } = refused;
      outcomes.push({ kind: 'failed', reason: 'refused_by_postgres', stage: 'save', message });
      continue;
    }
    // What was saved of these events so far must not be dispatched again: replay knows what was folded.
    if (result.kind === 'broken') throw new Error('a belief broke while refused data was being set apart');
    saved.push(result);
    outcomes.push(...result.folded.outcomes);
    known = result.folded.known;
  }
  return together(saved, known, outcomes);
}

async function saveEvent(
  work: PersonWork,
  eventCount: number,
  save: Save,
  refused: DataRefusedError,
): Promise<Saved | 'refused'> {
  // The only event of its person has just been refused; asking again would give the same answer.
  if (eventCount === 1) return 'refused';
  if (!work.checked) return asBelieved(work);
  try {
    const [saved] = await save([work]);
    invariant(saved !== undefined, 'a save answers for each work');
    return saved;
  } catch (error) {
    if (!(error instanceof DataRefusedError)) throw error;
    refused.message = error.message;
    return 'refused';
  }
}

/** What several saves of the same persons, one after another, come to. */
function together(saved: readonly SavedPart[], known: Known, outcomes: readonly FoldOutcome[]): SavedPart {
  const written = new Set(saved.flatMap(({ folded }) => folded.written.map(({ uuid }) => uuid)));
  return {
    kind: 'saved',
    folded: {
      known,
      written: [...known.persons.values()].filter(({ uuid }) => written.has(uuid)),
      newIds: saved.flatMap(({ folded }) => folded.newIds),
      merged: saved.flatMap(({ folded }) => folded.merged),
      groupChanges: saved.flatMap(({ folded }) => folded.groupChanges),
      outcomes,
    },
    moved: saved.flatMap(({ moved }) => moved),
    groups: saved.flatMap(({ groups }) => groups),
    oversized: saved.flatMap(({ oversized }) => oversized),
  };
}
