/** The witness: which offsets a save folded, in which order, and the versions of their persons after that. */
import type { Folded } from '../../person/fold.ts';
import { foldedRecords, type PartitionEpoch, type PersonWork } from '../person-store.ts';
import type { Queryable } from './pool.ts';

/** Arrays within arrays have to be as long as one another: these come as text. */
const WRITE = `
  INSERT INTO tributary_witness (log_id, topic, partitions, offsets, persons, versions)
  SELECT $1, $2, partitions::int[], offsets::bigint[], persons::uuid[], versions::bigint[]
  FROM unnest($3::text[], $4::text[], $5::text[], $6::text[])
    WITH ORDINALITY AS s (partitions, offsets, persons, versions, number)
  ORDER BY number`;

/**
 * Writes a row for each work, in order. Of two saves that concern the same person, the one that commits first has the
 * lower places: they are given while the person is locked.
 */
export async function writeWitness(
  postgres: Queryable,
  partitions: readonly PartitionEpoch[],
  works: readonly PersonWork[],
  /** What became of the works that were checked. */
  folds: ReadonlyMap<PersonWork, Folded>,
): Promise<void> {
  const [first] = partitions;
  const folded = works
    .map((work) => ({ work, records: foldedRecords(work, folds.get(work) ?? work.folded) }))
    .filter(({ records }) => records.length > 0);
  if (first === undefined || folded.length === 0) return;
  const persons = folded.map(({ work }) => [...(folds.get(work)?.known.persons.values() ?? [])]);
  await postgres.query(WRITE, [
    first.key.logId,
    first.key.topic,
    folded.map(({ records }) => arrayText(records.map(({ partition }) => partition))),
    folded.map(({ records }) => arrayText(records.map(({ offset }) => offset))),
    persons.map((each) => arrayText(each.map(({ uuid }) => uuid))),
    persons.map((each) => arrayText(each.map(({ version }) => version))),
  ]);
}

const arrayText = (values: readonly (string | number)[]): string => `{${values.join(',')}}`;
