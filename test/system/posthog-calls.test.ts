/** The calls of posthog-node's documentation, and what each of them leaves in the tables. One call, one test. */
import { isDeepStrictEqual } from 'node:util';
import { PostHog } from 'posthog-node';
import t, { type Test } from 'tap';
import { dataFolder, type Row, startSystem, TOKEN, until } from './harness.ts';

t.setTimeout(600_000);

t.test("what posthog-node's documentation promises", async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  const posthog = new PostHog(TOKEN, { host: system.captureUrl });
  t.teardown(() => posthog.shutdown());
  posthog.on('error', (error: unknown) => t.fail(String(error)));

  /** Sends what was called, and waits for all that it leaves. */
  async function settled(): Promise<void> {
    await posthog.flush();
    await system.settled();
  }

  /** Events of these distinct ids, in the order in which the SDK made their uuids. */
  async function rowsOf(...distinctIds: string[]): Promise<Row[]> {
    const rows = await system.sql(`
      SELECT event, distinct_id, toString(person_id) AS person, properties, person_properties, person_mode,
        group0_properties, group1_properties
      FROM events WHERE distinct_id IN ('${distinctIds.join("', '")}') ORDER BY toString(uuid)`);
    return rows.map(parsed);
  }

  /** The person to whom a distinct id leads, with all its ids: in Postgres, and the same in ClickHouse. */
  async function personOf(t: Test, distinctId: string): Promise<Row | undefined> {
    const [person] = await system.postgres(`
      SELECT p.uuid::text AS person, p.properties, p.is_identified,
        (SELECT array_agg(ids.distinct_id ORDER BY ids.distinct_id)
          FROM posthog_persondistinctid ids WHERE ids.person_id = p.id) AS ids
      FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id
      WHERE d.distinct_id = '${distinctId}'`);
    const [shown] = await system.sql(`
      SELECT toString(p.id) AS person, p.properties AS properties, p.is_identified = 1 AS is_identified,
        arraySort(groupArray(d.distinct_id)) AS ids
      FROM person_distinct_id2 AS d FINAL JOIN person AS p FINAL ON p.id = d.person_id
      WHERE p.is_deleted = 0 AND d.is_deleted = 0
      GROUP BY ALL HAVING has(ids, '${distinctId}')`);
    const inPostgres = person && parsed(person);
    const inClickHouse = shown && { ...parsed(shown), is_identified: Boolean(shown['is_identified']) };
    t.same(inClickHouse, inPostgres, `${distinctId} is the same person in ClickHouse as in Postgres`);
    return inPostgres;
  }

  /** Waits until ClickHouse shows the one group that there is with these properties. */
  function isGroup(properties: Row): Promise<true> {
    return until(`the group has ${JSON.stringify(properties)}`, async () => {
      const groups = await system.sql(
        'SELECT group_type_index, group_key, group_properties AS properties FROM groups FINAL',
      );
      const expected = [{ group_type_index: 0, group_key: 'acme', properties }];
      return isDeepStrictEqual(groups.map(parsed), expected) || undefined;
    });
  }

  await t.test('capture: a row with what was sent, of a person who is not identified', async (t) => {
    posthog.capture({
      distinctId: 'distinct_id_of_the_user',
      event: 'user signed up',
      properties: { login_type: 'email', is_free_trial: true },
    });
    await settled();
    const person = await personOf(t, 'distinct_id_of_the_user');
    t.match(person, { is_identified: false, properties: {}, ids: ['distinct_id_of_the_user'] });
    t.match(await rowsOf('distinct_id_of_the_user'), [
      {
        event: 'user signed up',
        person: person?.['person'],
        properties: { login_type: 'email', is_free_trial: true, $lib: 'posthog-node', $is_server: true },
        person_mode: 'full',
      },
    ]);
  });

  await t.test(
    'capture with $set and $set_once: they become properties of the person, the second only once',
    async (t) => {
      for (const url of ['/blog', '/pricing']) {
        posthog.capture({
          distinctId: 'set_user',
          event: 'movie played',
          properties: { $set: { name: 'Max Hedgehog', last_url: url }, $set_once: { initial_url: url } },
        });
      }
      await settled();
      const properties = { name: 'Max Hedgehog', last_url: '/pricing', initial_url: '/blog' };
      t.same((await personOf(t, 'set_user'))?.['properties'], properties);
      const rows = await rowsOf('set_user');
      t.same(
        rows.map((row) => row['person_properties']),
        [{ ...properties, last_url: '/blog' }, properties],
        'each row shows the person as of its event',
      );
    },
  );

  await t.test('capture with $process_person_profile false: a row, and no person', async (t) => {
    posthog.capture({
      distinctId: 'anonymous_user',
      event: 'page viewed',
      properties: { $process_person_profile: false, $set: { name: 'nobody' } },
    });
    await settled();
    t.equal(await personOf(t, 'anonymous_user'), undefined);
    t.match(await rowsOf('anonymous_user'), [{ person_mode: 'propertyless', person_properties: {} }]);
  });

  await t.test(
    'identify with $anon_distinct_id: the anonymous events belong to the user, who counts as known',
    async (t) => {
      posthog.capture({ distinctId: 'anonymous_user_456', event: 'page viewed' });
      await settled();
      posthog.identify({
        distinctId: 'user_456',
        properties: {
          $set: { name: 'John Doe', email: 'john@example.com' },
          $set_once: { first_login: '2026-01-01' },
          $anon_distinct_id: 'anonymous_user_456',
        },
      });
      posthog.capture({ distinctId: 'user_456', event: 'logged in' });
      posthog.capture({ distinctId: 'anonymous_user_456', event: 'page viewed' });
      await settled();
      const person = await personOf(t, 'user_456');
      t.match(person, {
        is_identified: true,
        properties: { name: 'John Doe', email: 'john@example.com', first_login: '2026-01-01' },
        ids: ['anonymous_user_456', 'user_456'],
      });
      const rows = await rowsOf('user_456', 'anonymous_user_456');
      t.same(
        rows.map((row) => row['person']),
        Array(4).fill(person?.['person']),
        'the user takes the person over who was there already',
      );
    },
  );

  await t.test('identify: sets properties; without another id nobody becomes known by it', async (t) => {
    posthog.identify({
      distinctId: 'user_123',
      properties: { name: 'John Doe', email: 'john@example.com', plan: 'premium' },
    });
    await settled();
    const properties = { name: 'John Doe', email: 'john@example.com', plan: 'premium' };
    const person = await personOf(t, 'user_123');
    t.match(person, { is_identified: false, properties, ids: ['user_123'] });
    t.match(await rowsOf('user_123'), [
      {
        event: '$identify',
        person: person?.['person'],
        properties: { $set: properties },
        person_properties: properties,
      },
    ]);
  });

  await t.test('setPersonProperties and unsetPersonProperties: a $set event each', async (t) => {
    posthog.setPersonProperties({
      distinctId: 'profile_user',
      properties: { plan: 'premium', email: 'ann@example.com' },
      propertiesOnce: { first_seen: '2026-06-15' },
    });
    posthog.unsetPersonProperties({ distinctId: 'profile_user', properties: ['email', 'never there'] });
    await settled();
    t.same((await personOf(t, 'profile_user'))?.['properties'], {
      plan: 'premium',
      first_seen: '2026-06-15',
    });
    t.match(await rowsOf('profile_user'), [{ event: '$set' }, { event: '$set' }]);
  });

  await t.test('alias of a new id: both ids are one person', async (t) => {
    posthog.capture({ distinctId: 'frontend_id', event: 'page viewed' });
    await settled();
    posthog.alias({ distinctId: 'frontend_id', alias: 'backend_id' });
    posthog.capture({ distinctId: 'backend_id', event: 'invoice paid' });
    await settled();
    const person = await personOf(t, 'backend_id');
    t.match(person, { is_identified: true, ids: ['backend_id', 'frontend_id'] });
    const rows = await rowsOf('frontend_id', 'backend_id');
    t.match(rows, [{ event: 'page viewed' }, { event: '$create_alias' }, { event: 'invoice paid' }]);
    t.same(
      rows.map((row) => row['person']),
      Array(3).fill(person?.['person']),
    );
  });

  await t.test(
    'alias of two persons: the alias is merged into the other, whose properties win',
    async (t) => {
      posthog.capture({
        distinctId: 'session_1',
        event: 'page viewed',
        properties: { $set: { plan: 'none', referrer: 'friend' } },
      });
      posthog.capture({ distinctId: 'user_1', event: 'signed up', properties: { $set: { plan: 'pro' } } });
      await settled();
      const [before] = await rowsOf('session_1');
      posthog.alias({ distinctId: 'user_1', alias: 'session_1' });
      await settled();
      const person = await personOf(t, 'session_1');
      t.match(person, {
        is_identified: true,
        properties: { plan: 'pro', referrer: 'friend' },
        ids: ['session_1', 'user_1'],
      });
      t.same((await personOf(t, 'user_1'))?.['person'], person?.['person']);
      t.not(before?.['person'], person?.['person']);
      const [deleted] = await system.sql(
        `SELECT is_deleted FROM person FINAL WHERE id = '${String(before?.['person'])}'`,
      );
      t.match(deleted, { is_deleted: 1 }, 'ClickHouse hides the person who is gone');
      const [override] = await system.sql(
        "SELECT toString(person_id) AS person FROM person_distinct_id_overrides FINAL WHERE distinct_id = 'session_1'",
      );
      t.same(
        override,
        { person: person?.['person'] },
        'and leads the events from before to the one who is left',
      );
    },
  );

  await t.test(
    'groupIdentify: a group with properties, of which later events show what they were',
    async (t) => {
      posthog.groupIdentify({
        groupType: 'company',
        groupKey: 'acme',
        properties: { name: 'Awesome Inc', employees: 11 },
      });
      await settled();
      t.match(await rowsOf('$company_acme'), [
        {
          event: '$groupidentify',
          properties: {
            $group_type: 'company',
            $group_key: 'acme',
            $group_set: { name: 'Awesome Inc', employees: 11 },
          },
        },
      ]);
      await isGroup({ name: 'Awesome Inc', employees: 11 });
      t.match(await system.postgres('SELECT group_type, group_type_index FROM posthog_grouptypemapping'), [
        { group_type: 'company', group_type_index: 0 },
      ]);

      posthog.groupIdentify({
        groupType: 'company',
        groupKey: 'acme',
        properties: { employees: 12 },
        distinctId: 'user_123',
      });
      await settled();
      await isGroup({ name: 'Awesome Inc', employees: 12 });
      t.match(
        (await rowsOf('user_123')).at(-1),
        { event: '$groupidentify' },
        'with an id of its own, if it has one',
      );
    },
  );

  await t.test('capture with groups: the row shows its groups and their properties', async (t) => {
    posthog.capture({
      distinctId: 'member',
      event: 'some event',
      groups: { company: 'acme', instance: 'app.example.com' },
    });
    await settled();
    t.match(await rowsOf('member'), [
      {
        properties: {
          $groups: { company: 'acme', instance: 'app.example.com' },
          $group_0: 'acme',
          $group_1: 'app.example.com',
        },
        group0_properties: { name: 'Awesome Inc', employees: 12 },
        group1_properties: {},
      },
    ]);
  });
});

/** Columns of JSON text as what they say, without what only Tributary knows. */
function parsed(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      name.endsWith('properties') ? parsedProperties(value) : value,
    ]),
  );
}

function parsedProperties(value: unknown): unknown {
  if (value === '') return {};
  const properties: Row = typeof value === 'string' ? JSON.parse(value) : Object(value);
  const { $creator_event_uuid: _creator, ...own } = properties;
  return own;
}
