/**
 * 12. Two processes at once
 *
 * Events of one distinct id are always read by one worker, but two ids of one person may be read by two. Each decides
 * from what it knows, and that may be old by the time it is saved. So a decision is an assumption until Postgres
 * confirms it: a save that stands on a wrong one is left out, what hung on it is read and decided again, in the order
 * of the log. In this chapter Adam and Berta (`pair.ts`) are made to collide by holding their calls back.
 */
import t, { type Test } from 'tap';
import { type Row, type System, uuidOf } from './harness.ts';
import {
  adams,
  assertSame,
  bertas,
  identify,
  isIdentified,
  isMerged,
  isSaved,
  merge,
  seen,
  startPair,
} from './pair.ts';

t.setTimeout(600_000);

const personsOn = (rows: readonly Row[]): readonly unknown[] => rows.map((row) => row['person_id']);

t.test(
  '(a) a person with unsaved changes is merged away elsewhere: the changes go to the survivor, in order',
  async (t) => {
    const [x, y] = [adams('x'), bertas('y')];
    const { system, adam } = await startPair(t);
    await system.send(seen(x), seen(y));

    adam.saves.shut();
    await system.append([seen(x, { a: 1 })]);
    await adam.saves.reached();
    await system.append([identify(y, x)]);
    await isMerged(system, y);
    // Adam hears of it while his save is on its way, and takes one more event of x.
    await system.append([seen(x, { a: 2 })]);
    adam.saves.open();

    const { rows, persons } = await system.picture();
    t.match(persons, [{ ids: [x, y].join(' '), uuid: uuidOf(y), properties: { a: 2 } }]);
    t.equal(persons.length, 1);
    t.equal(rows.length, 5);
    const changes = rows.filter((row) => row['distinct_id'] === x).slice(1);
    t.match(changes, [
      { person_id: uuidOf(y), person_properties: { a: 1 } },
      { person_id: uuidOf(y), person_properties: { a: 2 } },
    ]);
    await assertSame(t, system);
  },
);

t.test('(a) the same when the changes were not even on their way', async (t) => {
  const [x, y] = [adams('x'), bertas('y')];
  const { system } = await startPair(t, { limits: { flushLingerMs: 500 } });
  await system.send(seen(x), seen(y));

  await system.append([seen(x, { a: 1 })]);
  await system.append([identify(y, x)]);
  await isMerged(system, y);
  await system.append([seen(x, { a: 2 })]);

  const { persons } = await system.picture();
  t.match(persons, [{ uuid: uuidOf(y), properties: { a: 2 } }]);
  t.equal(persons.length, 1);
  await assertSame(t, system);
});

t.test(
  '(a) the same when Adam hears nothing of what others change: his save finds it, and he reads again',
  async (t) => {
    const [x, y] = [adams('x'), bertas('y')];
    const { system, adam } = await startPair(t, { isShared: false });
    await system.send(seen(x), seen(y));
    adam.saves.shut();
    await system.append([seen(x, { a: 1 })]);
    await adam.saves.reached();
    await system.append([merge(y, x)]);
    await isMerged(system, y);
    await system.append([seen(x, { a: 2 })]);
    adam.saves.open();
    const { persons } = await system.picture();
    t.match(persons, [{ uuid: uuidOf(y), properties: { a: 2 } }]);
    t.equal(persons.length, 1);
    await assertSame(t, system);
  },
);

t.test(
  '(b) a merge in memory is refused in the end: nothing of the other person is left behind',
  async (t) => {
    const [mine, theirs] = [adams('mine'), bertas('theirs')];
    const { system, adam } = await startPair(t);
    await system.send(seen(mine), seen(theirs, { secret: 1 }));

    adam.saves.shut();
    // To Adam, nobody has identified the other person yet: he merges it, and shows it on the next row.
    await system.append([identify(mine, theirs, { a: 1 }), seen(mine, { b: 1 })]);
    await adam.saves.reached();
    await system.append([identify(theirs, 'their-device')]);
    await isIdentified(system, theirs);
    adam.saves.open();
    // What Adam keeps in memory is the refused one, too.
    await system.send(seen(mine));

    const { rows, persons, warnings } = await system.picture();
    t.match(
      persons.map(({ ids, is_identified }) => [ids, is_identified]),
      [
        [mine, true],
        [`their-device ${theirs}`, true],
      ],
    );
    t.same(persons[0]?.properties, { a: 1, b: 1 }, 'the event’s own $set counts');
    t.same(persons[1]?.properties, { secret: 1 });
    for (const row of rows.filter((one) => one['distinct_id'] === mine)) {
      t.equal(row['person_id'], uuidOf(mine));
      t.notOk(
        'secret' in Object(row['person_properties']),
        `${row['event']} shows nothing of the other person`,
      );
    }
    t.match(warnings, [
      {
        type: 'cannot_merge_already_identified',
        details: { sourcePersonDistinctId: theirs, targetPersonDistinctId: mine },
      },
    ]);
    await assertSame(t, system);
  },
);

const MINUTE = 60_000;
const alice = adams('alice');
const bob = bertas('bob');
const signup = { event: 'signup', distinct_id: alice, properties: { $set: { plan: 'free' } } };
const attach = {
  event: '$create_alias',
  distinct_id: bob,
  properties: { alias: alice, $set: { plan: 'pro' } },
};

t.test(
  '(c) a hold runs out while an alias attaches its id: one person, one mapping (the alias is first)',
  async (t) => {
    const { system, adam } = await startPair(t, { holdMs: MINUTE });
    await system.send(signup);
    adam.saves.shut();
    system.skip(MINUTE);
    // Adam makes a person for alice, and Berta another one for bob and alice.
    await adam.saves.reached();
    await system.append([attach]);
    await isMerged(system, bob);
    adam.saves.open();
    await assertAliceIsBob(t, system, 'free');
  },
);

t.test(
  '(c) a hold runs out while an alias attaches its id: one person, one mapping (the hold is first)',
  async (t) => {
    const { system, berta } = await startPair(t, { holdMs: MINUTE });
    await system.send(signup);
    berta.saves.shut();
    await system.append([attach]);
    await berta.saves.reached();
    system.skip(MINUTE);
    await isSaved(system, alice);
    berta.saves.open();
    await assertAliceIsBob(t, system, 'pro');
  },
);

t.test(
  '(c) a held event goes on as soon as it is heard that another process gave its id a person',
  async (t) => {
    const { system } = await startPair(t, { holdMs: MINUTE });
    await system.send(signup);
    await system.append([attach]);
    await assertAliceIsBob(t, system, 'free');
  },
);

t.test(
  '(c) the same when Adam hears nothing: that nobody knew alice is not believed a second time',
  async (t) => {
    const { system, adam } = await startPair(t, { holdMs: MINUTE, isShared: false });
    await system.send(signup);
    adam.saves.shut();
    system.skip(MINUTE);
    await adam.saves.reached();
    await system.append([attach]);
    await isMerged(system, bob);
    adam.saves.open();
    await assertAliceIsBob(t, system, 'free');
  },
);

async function assertAliceIsBob(t: Test, system: System, plan: string): Promise<void> {
  const { rows, persons } = await system.picture();
  t.match(persons, [
    { ids: `${alice} ${bob}`, uuid: uuidOf(alice), is_identified: true, properties: { plan } },
  ]);
  t.equal(persons.length, 1);
  t.same(personsOn(rows), [uuidOf(alice), uuidOf(alice)]);
  await assertSame(t, system);
}

t.test('opposite merges at the same instant end in one person', async (t) => {
  const [a, b] = [adams('a'), bertas('b')];
  const { system, adam, berta } = await startPair(t);
  await system.send(seen(a, { a: 1 }), seen(b, { b: 1 }));
  adam.saves.shut();
  berta.saves.shut();
  await system.append([merge(a, b), merge(b, a)]);
  await adam.saves.reached();
  await berta.saves.reached();
  adam.saves.open();
  berta.saves.open();
  const { rows, persons } = await system.picture();
  t.match(persons, [{ ids: `${a} ${b}`, properties: { a: 1, b: 1 } }]);
  t.equal(persons.length, 1);
  t.equal(rows.length, 4);
  await assertSame(t, system);
});

t.test('merges in a circle of three end in one person', async (t) => {
  const [a, b, c] = [adams('a'), bertas('b'), adams('c')];
  const { system, adam, berta } = await startPair(t);
  await system.send(seen(a, { a: 1 }), seen(b, { b: 1 }), seen(c, { c: 1 }));
  adam.saves.shut();
  berta.saves.shut();
  await system.append([merge(a, b), merge(b, c), merge(c, a)]);
  await adam.saves.reached();
  await berta.saves.reached();
  berta.saves.open();
  adam.saves.open();
  const { rows, persons } = await system.picture();
  t.match(persons, [{ ids: [a, b, c].toSorted().join(' '), properties: { a: 1, b: 1, c: 1 } }]);
  t.equal(persons.length, 1);
  t.equal(rows.length, 6);
  await assertSame(t, system);
});

t.test('an id whose person was merged away twice is found through both graves', async (t) => {
  const [a, b, c] = [adams('a'), bertas('b'), bertas('c')];
  const { system, adam } = await startPair(t);
  await system.send(seen(a), seen(b), seen(c));
  adam.saves.shut();
  await system.append([seen(a, { last: 'word' })]);
  await adam.saves.reached();
  await system.append([merge(b, a)]);
  await isMerged(system, b);
  await system.append([merge(c, b)]);
  await isMerged(system, c);
  adam.saves.open();
  const { rows, persons } = await system.picture();
  t.match(persons, [{ uuid: uuidOf(c), properties: { last: 'word' } }]);
  t.equal(persons.length, 1);
  t.match(rows[3], { distinct_id: a, person_id: uuidOf(c) });
  await assertSame(t, system);
});

t.test(
  'so are ids whose persons one worker merged away twice, and rows of events that change nothing',
  async (t) => {
    const [a, b, c] = [adams('a'), adams('b'), adams('c')];
    const { system, adam } = await startPair(t);
    await system.send(seen(a), seen(b), seen(c));
    adam.saves.shut();
    await system.append([merge(b, a), merge(c, b)]);
    await adam.saves.reached();
    await system.append([seen(a), seen(b)]);
    adam.saves.open();
    const { rows, persons } = await system.picture();
    t.match(persons, [{ ids: [a, b, c].toSorted().join(' '), uuid: uuidOf(c) }]);
    t.same(personsOn(rows.slice(-2)), [uuidOf(c), uuidOf(c)]);
    await assertSame(t, system);
  },
);

t.test('a cache that has grown old costs another try, never a wrong person', async (t) => {
  const [x, y] = [adams('x'), bertas('y')];
  const { system } = await startPair(t);
  await system.send(seen(x, { a: 1 }), seen(y, { b: 1 }));
  // Both know both persons by now. What the other one changes is heard a moment later, or too late.
  for (let n = 0; n < 20; n++) {
    await system.append([seen(x, { a: n }), seen(y, { b: n }), merge(n % 2 ? x : y, n % 2 ? y : x)]);
  }
  const { rows, persons } = await system.picture();
  t.match(persons, [{ ids: [x, y].toSorted().join(' '), properties: { a: 19, b: 19 } }]);
  t.equal(persons.length, 1);
  t.equal(rows.length, 62);
  await assertSame(t, system);
});
