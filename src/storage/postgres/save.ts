/**
 * One save: locks the partitions and persons, checks what the dispatcher believed, folds again where the rows are
 * others than it folded on, writes persons and then groups, and records which offsets were folded. What was believed
 * wrongly is left out.
 */
import { type GroupId, groupKey } from '../../person/group.ts';
import {
  type FoldedRange,
  foldedRecords,
  type PartitionEpoch,
  type PersonWork,
  type Saved,
} from '../person-store.ts';
import { lockForSave, recordFolded } from './partition-rows.ts';
import type { FindReferences } from './person-references.ts';
import type { Postgres, Queryable } from './pool.ts';
import { type Confirmed, confirmWorks, personsOf } from './save-beliefs.ts';
import { type SavedGroups, writeGroups } from './save-groups.ts';
import { writePersons } from './save-persons.ts';
import { writeWitness } from './save-witness.ts';

export interface SaveOptions {
  /** Records the order in which events were folded, for proofs. */
  readonly witness: boolean;
  /** Distinct ids that one merge moves. */
  readonly mergeIdsMax: number;
}

export function saveWorks(
  postgres: Postgres,
  findReferences: FindReferences,
  partitions: readonly PartitionEpoch[],
  works: readonly PersonWork[],
  options: SaveOptions,
): Promise<readonly Saved[]> {
  return postgres.transaction(async (transaction) => {
    await lockForSave(transaction, partitions);
    const checked = works.filter((work) => work.checked);
    const held = await confirmWorks(transaction, checked, options.mergeIdsMax);
    const { confirmed } = held;
    const moved = await writePersons(transaction, findReferences, held, options.mergeIdsMax);
    const groups = await writeGroups(transaction, confirmed);

    const folds = new Map(confirmed.map(({ work, folded }) => [work, folded]));
    const saved = works.filter((work) => !work.checked || folds.has(work));
    await record(transaction, partitions, saved, confirmed, groups);
    if (options.witness) await writeWitness(transaction, partitions, saved, folds);
    return works.map((work): Saved => {
      const folded = work.checked ? folds.get(work) : work.folded;
      if (folded === undefined) return { kind: 'broken' };
      const { changed, oversized } = groups.get(work) ?? NO_GROUPS;
      return { kind: 'saved', folded, moved: moved.get(work) ?? [], groups: changed, oversized };
    });
  });
}

const NO_GROUPS: SavedGroups = { touched: [], changed: [], oversized: [] };

/** Every offset, with the persons and groups of its work. */
async function record(
  postgres: Queryable,
  partitions: readonly PartitionEpoch[],
  works: readonly PersonWork[],
  confirmed: readonly Confirmed[],
  groups: ReadonlyMap<PersonWork, SavedGroups>,
): Promise<void> {
  const folds = new Map(confirmed.map(({ work, folded }) => [work, folded]));
  const entries = new Map<number, Entry[]>(partitions.map(({ key }) => [key.partition, []]));
  for (const work of works) {
    const folded = folds.get(work);
    const touched = {
      persons: folded ? personsOf(work, folded) : [],
      groups: groups.get(work)?.touched ?? [],
    };
    for (const { partition, offset } of foldedRecords(work, folded ?? work.folded)) {
      const of = entries.get(partition);
      if (of === undefined)
        throw new Error(`the save has offsets of partition ${partition}, but not its epoch`);
      of.push({ offset, touched });
    }
  }
  await recordFolded(
    postgres,
    partitions.flatMap(({ key }) =>
      foldedRanges(entries.get(key.partition) ?? []).map((range) => ({ key, range })),
    ),
  );
}

/** Of a work: all its offsets share one. */
type Touched = Pick<FoldedRange, 'persons' | 'groups'>;

interface Entry {
  readonly offset: number;
  readonly touched: Touched;
}

function foldedRanges(entries: readonly Entry[]): FoldedRange[] {
  const ranges: { from: number; to: number; touched: Set<Touched> }[] = [];
  let last: (typeof ranges)[number] | undefined;
  for (const { offset, touched } of [...entries].sort((a, b) => a.offset - b.offset)) {
    if (last === undefined || offset > last.to + 1) {
      last = { from: offset, to: offset, touched: new Set() };
      ranges.push(last);
    }
    last.to = offset;
    last.touched.add(touched);
  }
  return ranges.map(({ from, to, touched }) => ({
    from,
    to,
    persons: [...new Set([...touched].flatMap(({ persons }) => persons))],
    groups: [...new Map([...touched].flatMap(({ groups }) => groups.map(keyed))).values()],
  }));
}

const keyed = (group: GroupId): [string, GroupId] => [groupKey(group), group];
