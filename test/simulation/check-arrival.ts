/**
 * Where one process is alone and nothing fails: persons leave before the rows that show them, saves leave one after
 * another, and nobody breaks a belief.
 */
import { sourceOf } from './follow.ts';
import type { Outputs } from './outputs.ts';
import type { Ran } from './run.ts';

export function checkArrival(ran: Ran, outputs: Outputs): string[] {
  const { plan, world } = ran;
  const isAlone = plan.startsMs.length === 1 && plan.incidents.length === 0;
  if (!isAlone || plan.weather.failures > 0 || plan.replayAtMs !== undefined) return [];
  const { broken } = world.store;
  return [
    ...checkPersonsFirst(ran, outputs),
    ...(broken > 0 ? [`${broken} beliefs were broken by nobody but their owner`] : []),
  ];
}

/** When a row comes, its person has come: of the version that its save left, or a later one. */
function checkPersonsFirst({ world }: Ran, { rows, persons }: Outputs): string[] {
  const versions = new Map<string, number>();
  for (const { offsets, persons: saved } of world.store.witness) {
    for (const offset of offsets) {
      for (const { uuid, version } of saved) versions.set(`${sourceOf(offset)} ${uuid}`, version);
    }
  }
  const failures: string[] = [];
  const come = new Map<string, number>();
  let next = 0;
  for (const row of rows) {
    for (let person = persons[next]; person && person.place < row.place; person = persons[++next]) {
      come.set(person.id, Math.max(person.version, come.get(person.id) ?? 0));
    }
    const version = versions.get(`${row.source} ${row.person_id}`);
    if (version === undefined || (come.get(row.person_id) ?? -1) >= version) continue;
    failures.push(`row ${row.source} came before version ${version} of ${row.person_id}`);
  }
  return failures;
}
