import t from 'tap';
import { type Folding, personBehaviour, personState } from '../../src/actors/person-actor.ts';
import { asDistinctId, asPersonUuid, asTeamId } from '../../src/event/ids.ts';
import type { Folded } from '../../src/person/fold.ts';
import type { Person } from '../../src/person/person.ts';

const TEAM = asTeamId(1);
const person = (name: string): Person => ({
  uuid: asPersonUuid(name),
  teamId: TEAM,
  properties: {},
  isIdentified: true,
  createdAtMs: 0,
  version: 1,
});

t.test('an id of a person that was merged away leads past all merges of one save', async (t) => {
  const [first, second, third] = [person('first'), person('second'), person('third')];
  const id = asDistinctId('id of first');
  const behave = personBehaviour(() => third.uuid);
  let state = personState(TEAM, third.uuid, third);
  const fold = (): Folding => {
    const offered: Folding[] = [];
    state = behave(state, { kind: 'fold', eventsMax: 0, offer: (folding) => offered.push(folding) });
    const [folding] = offered;
    if (folding === undefined) throw new Error('it offers what it has');
    return folding;
  };
  fold();
  // It comes while the merges are being saved, and stands on what was known before.
  state = behave(state, { kind: 'slice', routed: [], beliefs: [[id, first.uuid]] });
  const folded: Folded = {
    known: { persons: new Map([[third.uuid, third]]), ids: new Map() },
    written: [third],
    newIds: [],
    merged: [
      { person: first, into: second.uuid },
      { person: second, into: third.uuid },
    ],
    groupChanges: [],
    outcomes: [],
  };
  state = behave(state, { kind: 'confirmed', folded, released: [] });
  t.equal(fold().fold().believed.ids.get(id), third.uuid);
});
