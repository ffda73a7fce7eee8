/** The witness: which offsets a save folded, in which order, and the versions of their persons after that. */
import type { Folded } from '../../person/fold.ts';
import { foldedRecords, type PartitionEpoch, type PersonWork } from '../person-store.ts';
import type { Queryable } from './pool.ts';

const WRITE = `
  INSERT INTO tributary_witness (log_id, topic, partitions, offsets, persons, versions)
  VALUES ($1, $2, $3::int[], $4::bigint[], $5::uuid[], $6::bigint[])`;

/**
 * Writes a row for the save, its events in the order in which they were dispatched. Of two saves that concern the same
 * person, the one that commits first has the lower place: it is given while the person is locked.
 */
export async function writeWitness(
  postgres: Queryable,
  partitions: readonly PartitionEpoch[],
  works: readonly PersonWork[],
  /** What became of the works that were checked. */
  folds: ReadonlyMap<PersonWork, Folded>,
): Promise<void> {
  const [first] = partitions;
  const records = works
    .flatMap((work) => foldedRecords(work, folds.get(work) ?? work.folded))
    .toSorted((a, b) => a.order - b.order);
  if (first === undefined || records.length === 0) return;
  const persons = works.flatMap((work) => [...(folds.get(work)?.known.persons.values() ?? [])]);
  await postgres.query(WRITE, [
    first.key.logId,
    first.key.topic,
    records.map(({ partition }) => partition),
    records.map(({ offset }) => offset),
    persons.map(({ uuid }) => uuid),
    persons.map(({ version }) => version),
  ]);
}
