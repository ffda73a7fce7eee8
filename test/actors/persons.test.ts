import t from 'tap';
import type { ActorSystem } from '../../src/actors/actor-system.ts';
import { createNactSystem } from '../../src/actors/nact.ts';
import { Persons } from '../../src/actors/persons.ts';
import { asPersonUuid, asTeamId, type DerivePersonUuid } from '../../src/event/ids.ts';

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
