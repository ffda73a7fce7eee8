import { systemClock } from '../../src/clock.ts';
import { asDistinctId, asTeamId } from '../../src/event/ids.ts';
import { personStoreContract } from '../contract/person-store.ts';
import { Random } from './random.ts';
import { personStoreOf, SimStore } from './sim-store.ts';
import { Wire } from './sim-wire.ts';

const MERGE_IDS_MAX = 20;

personStoreContract('simulated store', async () => {
  const tables = new SimStore(() => systemClock.now(), { mergeIdsMax: MERGE_IDS_MAX });
  // Calls cross on their way.
  const wire = new Wire({
    clock: systemClock,
    random: new Random(1),
    weather: { delayMsMax: 2, failures: 0, rollbacks: 0, fairFromMs: 0 },
    onStep: () => {},
  });
  const call = <Result>(name: string, transaction: () => Result) =>
    wire.call(name, transaction, { lost: () => new Error('the connection was lost') });
  return {
    store: personStoreOf(tables, { read: call, write: call, onSave: (_works, save) => save() }),
    mergeIdsMax: MERGE_IDS_MAX,
    andSees: async () => ({
      persons: [...tables.persons.values()],
      mappings: [...tables.ids].map(([key, { person, version }]) => ({
        teamId: asTeamId(Number.parseInt(key, 10)),
        distinctId: asDistinctId(key.slice(key.indexOf(':') + 1)),
        person,
        version,
      })),
      groups: [...tables.groups.values()],
      merged: [...tables.deleted.values()],
    }),
  };
});
