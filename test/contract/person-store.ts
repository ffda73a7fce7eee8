/** What every adapter of the `PersonStore` port keeps to. */
import t, { type Test } from 'tap';
import type { PersonUuid } from '../../src/event/ids.ts';
import type { Group } from '../../src/person/group.ts';
import type { Person } from '../../src/person/person.ts';
import type { DeletedPerson, Identity, Mapping, PersonStore } from '../../src/storage/person-store.ts';
import { Owner } from '../support/person-works.ts';
import { beliefTests } from './person-store-beliefs.ts';
import { groupTests } from './person-store-groups.ts';
import { mergeTests } from './person-store-merges.ts';
import { progressTests } from './person-store-progress.ts';

export interface StoreUnderTest {
  readonly store: PersonStore;
  /** Distinct ids that one merge moves here. */
  readonly mergeIdsMax: number;
  /** Everything that is there, in any order. */
  andSees(): Promise<Contents>;
}

export interface Contents {
  readonly persons: readonly Person[];
  readonly mappings: readonly (Identity & Mapping & { readonly person: PersonUuid })[];
  readonly groups: readonly Group[];
  /** Persons that were merged away. */
  readonly merged: readonly DeletedPerson[];
}

/** Makes an empty store, gone when `t` ends. Its calls may run at the same time. */
export type StoreFactory = (t: Test) => Promise<StoreUnderTest>;

/** Declares a test of the contract. `owner` has taken the log's first partition. */
export type ContractTest = (
  title: string,
  run: (t: Test, owner: Owner, subject: StoreUnderTest) => Promise<void>,
) => void;

export function personStoreContract(name: string, open: StoreFactory): void {
  const test: ContractTest = (title, run) => {
    void t.test(`${name}: ${title}`, async (t) => {
      const subject = await open(t);
      await run(t, await Owner.take(subject.store), subject);
    });
  };
  beliefTests(test);
  mergeTests(test);
  groupTests(test);
  progressTests(test);
}

/** Where each id leads, and with which version. */
export const idsOf = ({ mappings }: Contents): Record<string, readonly [PersonUuid, number]> =>
  Object.fromEntries(mappings.map(({ distinctId, person, version }) => [distinctId, [person, version]]));

/** The properties of each person that were set by the tests. */
export const propertiesOf = ({ persons }: Contents): Record<PersonUuid, object> =>
  Object.fromEntries(
    persons.map(({ uuid, properties: { $creator_event_uuid: _by, ...properties } }) => [uuid, properties]),
  );
