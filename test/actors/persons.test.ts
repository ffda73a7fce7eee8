import t from 'tap';
import type { ActorSystem } from '../../src/actors/actor-system.ts';
import { createNactSystem } from '../../src/actors/nact.ts';
import { Persons } from '../../src/actors/persons.ts';
import { asPersonUuid, asTeamId, type DerivePersonUuid } from '../../src/event/ids.ts';
import type { Person } from '../../src/person/person.ts';

const TEAM = asTeamId(1);
const JOINS = 200;
const derive: DerivePersonUuid = (_teamId, distinctId) => asPersonUuid(distinctId);

t.test('an actor that has yielded is stopped', async (t) => {
  const real = createNactSystem((error) => {
    throw error;
  });
  let alive = 0;
  const counting: ActorSystem = {
    ...real,
    spawn(name, state, behaviour) {
      const ref = real.spawn(name, state, behaviour);
      alive += 1;
      return {
        tell: (message) => ref.tell(message),
        stop() {
          alive -= 1;
          ref.stop();
        },
      };
    },
  };
  const persons = new Persons(counting, 1_000_000, derive);
  for (let index = 0; index < JOINS; index++) {
    const target = persons.activate(TEAM, asPersonUuid('target'), undefined);
    const source = persons.activate(TEAM, asPersonUuid(`source-${index}`), undefined);
    persons.join(source, target);
    await new Promise<void>((resolve) => {
      target.actor.tell({ kind: 'surrender', give: () => resolve() });
    });
    persons.drop(target);
  }
  t.equal(alive, 0, `after ${JOINS} joins`);
  real.stop();
});

t.test(
  'who has nothing unsaved rests without an actor, changed or not, and comes back as it was',
  async (t) => {
    const real = createNactSystem((error) => {
      throw error;
    });
    const persons = new Persons(real, 1_000_000, derive);
    const uuid = asPersonUuid('ann');
    const read: Person = {
      uuid,
      teamId: TEAM,
      createdAtMs: 1,
      properties: { name: 'ánn ✓' },
      isIdentified: true,
      version: 3,
    };
    const settled = (person: Person) => {
      const known = { persons: new Map([[uuid, person]]), ids: new Map() };
      const folded = { known, written: [], newIds: [], merged: [], groupChanges: [], outcomes: [] };
      const handle = persons.activate(TEAM, uuid, undefined);
      handle.pending += 1;
      persons.settle(handle, 1, folded, []);
    };
    persons.activate(TEAM, uuid, read);
    for (const person of [read, { ...read, version: 4 }]) {
      settled(person);
      t.equal(persons.activeOf(uuid), undefined);
      t.ok(persons.has(uuid), 'is not read again');
      t.same(persons.activate(TEAM, uuid, undefined).begun?.person, person);
    }
    settled({ ...read, version: 4 });
    persons.hear({ uuid, version: 5 });
    t.notOk(persons.has(uuid), 'somebody else has changed it');
    real.stop();
  },
);
