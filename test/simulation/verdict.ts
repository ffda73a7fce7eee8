/** Everything that has to hold once a history is over. */

import { asDistinctId } from '../../src/event/ids.ts';
import { checkArrival } from './check-arrival.ts';
import { checkFates } from './check-fates.ts';
import { checkFreshness } from './check-freshness.ts';
import { checkHold } from './check-hold.ts';
import { checkOutputs } from './check-outputs.ts';
import { checkTables } from './check-tables.ts';
import { type Followed, followWitness } from './follow.ts';
import { canonical, type Outputs, outputsOf } from './outputs.ts';
import type { Ran } from './run.ts';
import { identityKey } from './sim-store.ts';
import { TEAM } from './world.ts';

/** A redo reads again: it takes another change elsewhere to break what it believes then. */
const REDOS_MAX = 8;

export interface Verdict {
  /** What does not hold, a line each. */
  readonly failures: readonly string[];
  readonly followed: Followed;
  readonly outputs: Outputs;
}

export function judge(ran: Ran): Verdict {
  const outputs = outputsOf(ran.world);
  const followed = followWitness(ran);
  const failures = [
    ...ran.world.faults,
    ...(ran.settled ? [] : ['not everything was settled in time']),
    ...ran.watch.rivals.redoneOften(REDOS_MAX).map((source) => `${source} was redone again and again`),
    ...followed.failures,
    ...checkState(ran, followed),
    ...checkFates(ran, outputs),
    // ClickHouse has heard of what Postgres has lost.
    ...(ran.plan.canLose
      ? []
      : [...checkOutputs(ran, followed, outputs), ...checkFreshness(ran, followed, outputs)]),
    ...checkArrival(ran, outputs),
    ...checkHold(ran, followed),
    ...checkTables(ran),
  ];
  return { failures, followed, outputs };
}

/** Persons, ids and groups are those of the sequential fold. */
function checkState({ world: { store } }: Ran, { oracle }: Followed): string[] {
  const typeOf = store.typesOf(TEAM).map(({ type }) => type);
  const indexOf = (type: string) => store.typesOf(TEAM).find((one) => one.type === type)?.index;
  const groups = [...oracle.groups.values()].filter(({ type }) => indexOf(type) !== undefined);
  // Who has the lost version of a person in memory takes it for the one that is there.
  if (store.hasVersionsAgain) return [];
  return [
    ...differences(
      'person',
      new Map([...store.persons].map(([uuid, { version: _v, teamId: _t, ...person }]) => [uuid, person])),
      oracle.persons,
    ),
    ...differences(
      'id',
      new Map([...store.ids].map(([key, { person }]) => [key, person])),
      new Map(
        [...oracle.ids].map(([id, uuid]) => [
          identityKey({ teamId: TEAM, distinctId: asDistinctId(id) }),
          uuid,
        ]),
      ),
    ),
    // Who had been told the lost type's place goes on to use it, whoever gets it next.
    ...(store.hasLostTypes
      ? []
      : differences(
          'group',
          new Map(
            [...store.groups.values()].map(({ typeIndex, key, properties, createdAtMs }) => {
              const type = typeOf[typeIndex] ?? 'nothing';
              return [`${type}:${key}`, { type, key, properties, createdAtMs }];
            }),
          ),
          new Map(groups.map((group) => [`${group.type}:${group.key}`, group])),
        )),
  ];
}

function differences(
  kind: string,
  actual: ReadonlyMap<string, unknown>,
  expected: ReadonlyMap<string, unknown>,
): string[] {
  const failures: string[] = [];
  for (const key of new Set([...actual.keys(), ...expected.keys()])) {
    const [is, shouldBe] = [canonical(actual.get(key)), canonical(expected.get(key))];
    if (is !== shouldBe) failures.push(`${kind} ${key} is ${is}, by the sequential fold ${shouldBe}`);
  }
  return failures;
}
