/**
 * 13. The twelve rules of identity
 *
 * How several workers keep one order of things. Each rule was found by a history that went wrong without it; the
 * simulation (`npm run simulate`) finds such histories at random, this chapter shows one for each.
 */
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import { eventUuid, type System, startSystem, until, uuidOf } from './harness.ts';
import {
  adams,
  assertSame,
  bertas,
  Gate,
  identify,
  isMerged,
  isSaved,
  join,
  merge,
  seen,
  startAlone,
  startPair,
} from './pair.ts';

t.setTimeout(600_000);

async function waitsForLock({ postgres }: System): Promise<boolean> {
  const { rowCount } = await postgres.query(
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
  );
  return (rowCount ?? 0) > 0;
}

const MINUTE = 60_000;
/** Long enough for what must not happen. */
const A_WHILE_MS = 150;
const alias = (distinctId: string, other: string, $set = {}) => ({
  event: '$create_alias',
  distinct_id: distinctId,
  properties: { alias: other, $set },
});

t.test(
  'rule 1: what unsaved work stands on is changed by its own save alone, whatever is heard meanwhile',
  async (t) => {
    const [x, y] = [adams('x'), bertas('y')];
    const { system, adam } = await startPair(t);
    await system.send(alias(x, y));
    adam.saves.shut();
    await system.append([seen(x, { a: 1 })]);
    await adam.saves.reached();
    await system.append([seen(y, { b: 1 })]);
    await isSaved(system, y, ({ properties }) => properties['b'] === 1);
    // Adam has heard of Berta's version. His save finds it, and folds his event again on hers.
    await system.append([seen(x, { c: 1 })]);
    await pause(A_WHILE_MS);
    adam.saves.open();
    const { persons } = await system.picture();
    t.match(persons, [{ properties: { a: 1, b: 1, c: 1 } }]);
    await assertSame(t, system);
  },
);

t.test(
  'rule 1: an event that comes meanwhile goes where the unsaved ones went, not where its id is said to be',
  async (t) => {
    const [x, y] = [adams('x'), bertas('y')];
    const { system, adam } = await startPair(t);
    await system.send(seen(x), seen(y));
    adam.saves.shut();
    await system.append([seen(x, { n: 1 })]);
    await adam.saves.reached();
    await system.append([merge(y, x)]);
    await isMerged(system, y);
    await pause(A_WHILE_MS);
    // Had it gone to y's person at once, it would be saved before the first one.
    await system.append([seen(x, { n: 2 })]);
    adam.saves.open();
    t.match((await system.picture()).persons, [{ ids: [x, y].toSorted().join(' '), properties: { n: 2 } }]);
    await assertSame(t, system);
  },
);

t.test('rule 2: ids that a merge finds on its source are news to work that believed otherwise', async (t) => {
  const [target, source, found] = [adams('target'), bertas('source'), adams('found')];
  const { system, adam } = await startPair(t);
  await system.send(seen(target), seen(source));
  adam.saves.shut();
  await system.append([merge(target, source)]);
  await adam.saves.reached();
  // To Adam, nobody knows `found`. By the time his merge is saved, it is one of the source's ids.
  await system.append([seen(found, { a: 1 })]);
  await pause(A_WHILE_MS);
  await system.append([alias(source, found)]);
  await isMerged(system, source);
  adam.saves.open();
  const { rows, persons } = await system.picture();
  t.match(persons, [{ ids: [found, source, target].toSorted().join(' '), properties: { a: 1 } }]);
  t.equal(persons.length, 1);
  t.match(
    rows.find((row) => row['distinct_id'] === found),
    { person_id: uuidOf(target) },
  );
  await assertSame(t, system);
});

t.test(
  'rule 3: redone is everything that merges connect with what was wrong, before and after it',
  async (t) => {
    const [a, b, c, d] = [adams('a'), bertas('b'), adams('c'), bertas('d')];
    const { system, adam } = await startPair(t);
    await system.send(seen(a), seen(b), seen(c), seen(d));
    adam.saves.shut();
    // Wrong by the time of the save: that b has a person of its own.
    await system.append([seen(a, { n: 1 }), merge(a, b)]);
    await adam.saves.reached();
    await system.append([seen(c, { n: 2 }), merge(c, a), seen(c, { n: 3 })]);
    await pause(A_WHILE_MS);
    await system.append([merge(d, b)]);
    await isMerged(system, d);
    adam.saves.open();
    const { rows, persons } = await system.picture();
    t.match(persons, [{ ids: [a, b, c, d].toSorted().join(' '), uuid: uuidOf(c), properties: { n: 3 } }]);
    t.equal(persons.length, 1);
    t.equal(rows.length, 10);
    t.ok(adam.saves.most <= 1);
    await assertSame(t, system);
  },
);

t.test('rule 3: of several persons that one save was wrong about, each is redone', async (t) => {
  const [x, z, y] = [adams('x'), adams('z'), bertas('y')];
  const { system, adam } = await startPair(t);
  await system.send(seen(x), seen(z), seen(y));
  adam.saves.shut();
  await system.append([seen(x, { x: 1 }), seen(z, { z: 1 })]);
  await adam.saves.reached();
  await system.append([merge(y, x), merge(y, z)]);
  await isSaved(system, y, ({ ids }) => ids.includes(x) && ids.includes(z));
  adam.saves.open();
  const { persons } = await system.picture();
  t.match(persons, [{ uuid: uuidOf(y), properties: { x: 1, z: 1 } }]);
  await assertSame(t, system);
});

t.test(
  'rule 4: what is decided again passes the hold again, and waits if its id is unknown again',
  async (t) => {
    const [user, admin] = [adams('user'), bertas('admin')];
    const { system, adam } = await startAlone(t, { holdMs: MINUTE });
    await system.send({ event: 'signup', distinct_id: user });
    adam.saves.shut();
    // The alias gives the user a person, and the held event goes on with it. Nothing of both is saved.
    await system.append([alias(admin, user)]);
    await adam.saves.reached();
    const gate = new Gate();
    gate.shut();
    const berta = await join(system, adam, gate);
    adam.saves.open();
    // The alias is Berta's now, who has not saved it: nobody knows the user.
    await berta.saves.reached();
    await until('Adam holds the event again', () => adam.worker.held(eventUuid(1))?.state === 'held');
    t.same(await system.persons(), []);
    berta.saves.open();
    const { rows, persons } = await system.picture();
    t.match(persons, [{ ids: `${admin} ${user}` }]);
    t.match(rows, [{ event: 'signup', person_id: uuidOf(user) }, { event: '$create_alias' }]);
  },
);

t.test('rule 5: until what is redone has been dispatched, nothing else is', async (t) => {
  const [x, y] = [adams('x'), bertas('y')];
  const { system, adam } = await startPair(t);
  await system.send(seen(x), seen(y));
  adam.saves.shut();
  await system.append([seen(x, { n: 1 })]);
  await adam.saves.reached();
  await system.append([merge(y, x)]);
  await isMerged(system, y);
  adam.reads.shut();
  adam.saves.open();
  await adam.reads.reached();
  // The redo reads whose x is. What comes now waits, although nothing connects `other` with x.
  await system.append([seen(x, { n: 2 }), seen(adams('other'))]);
  await pause(A_WHILE_MS);
  t.equal((await system.read('clickhouse_events_json')).length, 3);
  adam.reads.open();
  const { rows, persons } = await system.picture();
  t.match(persons.find(({ ids }) => ids.includes(x))?.properties, { n: 2 });
  const own = rows.filter((row) => row['distinct_id'] === x && row['person_id'] === uuidOf(y));
  t.match(own, [{ person_properties: { n: 1 } }, { person_properties: { n: 2 } }]);
  await assertSame(t, system);
});

t.test('rule 6: an id that is read while a merge is unsaved follows that merge', async (t) => {
  const [target, source, other] = [adams('target'), bertas('source'), adams('other')];
  const { system, adam } = await startPair(t);
  await system.send(alias(source, other), seen(target));
  adam.saves.shut();
  await system.append([merge(target, source)]);
  await adam.saves.reached();
  // Postgres says that `other` is the source's. The source is as good as gone.
  await system.append([seen(other, { a: 1 })]);
  await pause(A_WHILE_MS);
  adam.saves.open();
  const { rows, persons } = await system.picture();
  t.match(persons, [{ uuid: uuidOf(target), properties: { a: 1 } }]);
  t.equal(persons.length, 1);
  t.match(
    rows.find((row) => row['distinct_id'] === other),
    { person_id: uuidOf(target) },
  );
  await assertSame(t, system);
});

t.test(
  'rule 7: who is fenced drops what was unsaved, and takes the partition again if it is still its own',
  async (t) => {
    const system = await startSystem(t);
    await system.send(seen('ann', { n: 1 }));
    const thief = createPersonStore(system.postgres);
    const key = { logId: system.log.identity(), topic: 'events_plugin_ingestion', partition: 0 } as const;
    await thief.acquire(key, 0);
    await system.send(seen('ann', { n: 2 }));
    const { rows, persons } = await system.picture();
    t.match(persons, [{ version: 1, properties: { n: 2 } }]);
    t.equal(rows.length, 2);
  },
);

t.test(
  'rule 8: an event that was folded and not sent is sent by the next owner, and not folded again',
  async (t) => {
    const { system, adam } = await startAlone(t);
    await system.send(seen('ann', { n: 1 }));
    // The save reaches Postgres. Its answer reaches nobody.
    adam.answers.shut();
    await system.append([seen('ann', { n: 2 })]);
    await adam.answers.reached();
    t.equal((await system.read('clickhouse_events_json')).length, 1);
    await system.kill(adam.worker);
    await system.startWorker();
    const { rows, persons } = await system.picture();
    t.match(persons, [{ version: 1, properties: { n: 2 } }]);
    t.match(rows[1], { person_id: uuidOf('ann'), person_properties: { n: 2 } });
    t.match((await system.read('clickhouse_person')).at(-1), { version: 1, properties: { n: 2 } });
    await assertSame(t, system);
  },
);

t.test('rule 9: an exempt event that finds its id known lets the id’s held events go first', async (t) => {
  const [alice, bob] = [adams('alice'), bertas('bob')];
  // Adam is deaf here, else he hears of Berta's alias, and the held event goes on by itself; and he forgets at once
  // that nobody knew alice, else he finds out only when he saves.
  const limits = { identityCacheBytesMax: 1 };
  const { system } = await startPair(t, { holdMs: MINUTE, isShared: false, limits });
  await system.send({ event: 'signup', distinct_id: alice, properties: { $set: { plan: 'free' } } });
  await system.append([alias(bob, alice)]);
  await isMerged(system, bob);
  await system.append([identify(alice, 'anon-1', { plan: 'pro' })]);
  const { rows, persons } = await system.picture();
  t.match(persons, [{ properties: { plan: 'pro' } }]);
  t.match(
    rows.find((row) => row['event'] === 'signup'),
    { person_properties: { plan: 'free' } },
  );
});

t.test(
  'rule 10: a merge made elsewhere is a wrong assumption, also where a merge here stands on it',
  async (t) => {
    const [mine, theirs, third] = [adams('mine'), bertas('theirs'), bertas('third')];
    const { system, adam } = await startPair(t);
    await system.send(seen(mine), seen(theirs, { a: 1 }), seen(third, { b: 1 }));
    adam.saves.shut();
    await system.append([merge(mine, theirs)]);
    await adam.saves.reached();
    await system.append([merge(third, theirs)]);
    await isMerged(system, third);
    adam.saves.open();
    const { persons } = await system.picture();
    t.match(persons, [
      { ids: [mine, theirs, third].toSorted().join(' '), uuid: uuidOf(mine), properties: { a: 1, b: 1 } },
    ]);
    t.equal(persons.length, 1, 'third, with theirs, has been merged into mine');
    await assertSame(t, system);
  },
);

t.test(
  'rule 11: a new owner raises the epoch, waits out the save in progress, and then reads what was folded',
  async (t) => {
    const { system, adam } = await startAlone(t);
    const x = bertas('x');
    await system.send(seen(x, { n: 1 }));
    const berta = await system.postgres.transaction(async (transaction) => {
      // Adam's save stands inside of Postgres, and Berta takes his partition.
      await transaction.query('SELECT FROM posthog_person FOR UPDATE');
      await system.append([seen(x, { n: 2 })]);
      await until('the save waits', () => waitsForLock(system));
      const joining = join(system, adam);
      await pause(A_WHILE_MS);
      return { joining };
    });
    await berta.joining;
    const { rows, persons } = await system.picture();
    t.match(persons, [{ version: 1, properties: { n: 2 } }], 'the event was folded once');
    t.equal(new Set(rows.map((row) => row['uuid'])).size, 2);
    await assertSame(t, system);
  },
);

t.test('rule 12: one save at a time; one without an answer is replayed, and never tried again', async (t) => {
  const { system, adam } = await startAlone(t);
  for (let n = 0; n < 50; n++) await system.append([seen(`id-${n % 7}`, { n })]);
  await system.picture();
  t.equal(adam.saves.most, 1);

  // Postgres has done it, and the connection breaks before it says so.
  adam.answers.break();
  await system.send(seen('id-0', { n: 'last' }));
  const { rows, persons } = await system.picture();
  const [first] = persons;
  t.match(first, { ids: 'id-0', properties: { n: 'last' } });
  t.equal(new Set(rows.map((row) => row['uuid'])).size, 51);
  await assertSame(t, system);
});
