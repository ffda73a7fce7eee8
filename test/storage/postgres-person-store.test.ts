import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { asDistinctId, asPersonUuid, asTeamId, type PersonUuid, type TeamId } from '../../src/event/ids.ts';
import type { JsonObject } from '../../src/event/json.ts';
import type { PersonWork } from '../../src/storage/person-store.ts';
import { GROUP_COLUMNS, type GroupRow, toGroup } from '../../src/storage/postgres/group-rows.ts';
import { PERSON_COLUMNS, type PersonRow, toPerson } from '../../src/storage/postgres/person-row.ts';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import { openPostgres, type Postgres, type Queryable } from '../../src/storage/postgres/pool.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { personStoreContract, type StoreUnderTest } from '../contract/person-store.ts';
import {
  groupIdentify,
  groupOf,
  identify,
  mergeDangerously,
  Owner,
  personOf,
  set,
  shuffled,
  TEAM,
} from '../support/person-works.ts';
import { withPostgres } from '../support/postgres.ts';

/** Few, so that a test is quick; as many as there really are: `large-merges.test.ts`. */
const MERGE_IDS_MAX = 20;

interface Opened extends StoreUnderTest {
  readonly postgres: Postgres;
}

async function open(t: Test): Promise<Opened> {
  const { postgres } = await withPostgres(t);
  return {
    postgres,
    store: createPersonStore(postgres, { mergeIdsMax: MERGE_IDS_MAX }),
    mergeIdsMax: MERGE_IDS_MAX,
    async andSees() {
      const persons = await postgres.query<PersonRow>(`SELECT ${PERSON_COLUMNS} FROM posthog_person p`);
      const mappings = await postgres.query<{
        team_id: TeamId;
        distinct_id: string;
        person: PersonUuid;
        version: number;
      }>(
        `SELECT d.team_id, d.distinct_id, p.uuid AS person, d.version FROM posthog_persondistinctid d
         LEFT JOIN posthog_person p ON p.id = d.person_id`,
      );
      const groups = await postgres.query<GroupRow>(`SELECT ${GROUP_COLUMNS} FROM posthog_group g`);
      const merged = await postgres.query<{
        team_id: number;
        uuid: string;
        created_at: Date;
        version: number;
      }>('SELECT team_id, uuid, created_at, version FROM tributary_merged');
      return {
        persons: persons.rows.map(toPerson),
        mappings: mappings.rows.map(({ team_id, distinct_id, person, version }) => ({
          teamId: team_id,
          distinctId: asDistinctId(distinct_id),
          person,
          version,
        })),
        groups: groups.rows.map(toGroup),
        merged: merged.rows.map(({ team_id, uuid, created_at, version }) => ({
          teamId: asTeamId(team_id),
          uuid: asPersonUuid(uuid),
          createdAtMs: created_at.getTime(),
          version,
        })),
      };
    },
  };
}

t.setTimeout(600_000);
personStoreContract('Postgres', open);

/** Counts the statements of transactions, BEGIN and COMMIT aside. */
function counting(postgres: Postgres): { postgres: Postgres; statements: string[] } {
  const statements: string[] = [];
  return {
    statements,
    postgres: {
      ...postgres,
      transaction: (run) =>
        postgres.transaction((transaction) =>
          run({
            query: <Row extends object>(text: string, values?: readonly unknown[]) => {
              statements.push(text);
              return transaction.query<Row>(text, values);
            },
          } satisfies Queryable),
        ),
    },
  };
}

t.test('no statement moves more ids than one merge may', async (t) => {
  const { postgres, statements } = counting((await open(t)).postgres);
  const owner = await Owner.take(createPersonStore(postgres, { mergeIdsMax: MERGE_IDS_MAX }));
  await owner.write(set('new', {}));
  for (const name of ['ann', 'bob', 'cat']) {
    const others = Array.from({ length: 14 }, (_, index) => `${name}${index}`);
    await owner.write(...others.map((other) => identify(name, other)));
  }
  const work = await owner.work(...['ann', 'bob', 'cat'].map((name) => mergeDangerously('new', name)));
  statements.length = 0;
  const [saved] = await owner.save(work);
  t.equal(saved?.kind === 'saved' && saved.moved.length, 45);
  t.equal(statements.filter((text) => text.includes('SET person_id')).length, 3);
  const { rows } = await postgres.query('SELECT DISTINCT person_id FROM posthog_persondistinctid');
  t.equal(rows.length, 1);
});

t.test('a save takes no statement that it does not need', async (t) => {
  const { postgres, statements } = counting((await open(t)).postgres);
  const owner = await Owner.take(createPersonStore(postgres));
  const works = async (value: number) => [
    await owner.work(set('ann', { value })),
    await owner.work(set('bob', { value })),
  ];
  const count = async (save: () => Promise<unknown>) => {
    statements.length = 0;
    await save();
    return statements.length;
  };
  const made = await works(1);
  t.equal(await count(() => owner.save(...made)), 6, 'lock both, look up ids, insert both, record');
  const changed = await works(2);
  t.equal(await count(() => owner.save(...changed)), 5, 'lock both, look up ids, update, record');
  const unchecked = { ...(await owner.work({ id: 'ann' })), checked: false };
  t.equal(await count(() => owner.save(unchecked)), 2, 'lock the partition, record');
  const group = await owner.work(groupIdentify('ann', groupOf(0, 'acme', { a: 1 })));
  t.equal(await count(() => owner.save(group)), 7, 'insert, lock and update the group');
});

t.test('who takes a partition waits for a save that waits for a person', async (t) => {
  const { store, postgres } = await open(t);
  const owner = await Owner.take(store);
  await owner.write(set('ann', { a: 1 }));
  const work = await owner.work(set('ann', { a: 2 }));
  const waiting = async (sessions: number) => {
    for (;;) {
      const { rowCount } = await postgres.query(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      if (rowCount === sessions) return;
      await delay(5);
    }
  };
  const { saving, taking } = await postgres.transaction(async (transaction) => {
    await transaction.query('SELECT FROM posthog_person FOR UPDATE');
    const saving = owner.save(work);
    await waiting(1);
    const taking = Owner.take(store);
    await waiting(2);
    return { saving, taking };
  });
  t.match(await saving, [{ kind: 'saved' }]);
  t.match((await taking).acquired.folded, [{ from: 0 }, { from: 1 }]);
});

t.test('saves of the same rows in different orders never wait for one another in a circle', async (t) => {
  const { url, postgres: first } = await withPostgres(t);
  // As with large tables: rows come in the order in which they were asked for.
  for (const setting of ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) {
    await first.query(
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET ${setting} = off', current_database()); END $$`,
    );
  }
  const postgres = openPostgres({ url, logger: quietLogger });
  t.teardown(() => postgres.close());
  const owner = await Owner.take(createPersonStore(postgres));
  const ids = Array.from({ length: 30 }, (_, index) => `person ${index}`);
  await owner.save(...(await Promise.all(ids.map((id) => owner.work(set(id, {}))))));
  const savers = [1, 2, 3, 4];
  for (const round of [1, 2, 3]) {
    const groups = Array.from({ length: 100 }, (_, index) => `group ${round} ${index}`);
    const together = async (worksOf: (saver: number) => readonly Promise<PersonWork>[]) => {
      const saves = await Promise.all(savers.map((saver) => Promise.all(worksOf(saver))));
      const saved = await Promise.all(saves.map((works) => owner.save(...works)));
      t.ok(saved.flat().every(({ kind }) => kind === 'saved'));
    };
    await together((saver) =>
      shuffled(ids, saver).map((id) => owner.work(set(id, { [`by${saver}`]: round }))),
    );
    const grouping = (saver: number, set: JsonObject) =>
      shuffled(groups, saver).map((key) => groupIdentify(`saver ${saver}`, groupOf(0, key, set)));
    await together((saver) => [owner.work(...grouping(saver, { [`made${saver}`]: 1 }))]);
    await together((saver) => [owner.work(...grouping(saver, { [`changed${saver}`]: 1 }))]);
  }
});

t.test('changes of a group that is there take no numbers of its sequence', async (t) => {
  const { store, postgres } = await open(t);
  const owner = await Owner.take(store);
  for (const size of [1, 2, 3, 4]) await owner.write(groupIdentify('ann', groupOf(0, 'acme', { size })));
  const { rows } = await postgres.query('SELECT last_value FROM posthog_group_id_seq');
  t.same(rows, [{ last_value: 1 }]);
});

t.test('data that can never be written is refused, and nothing of its save stays', async (t) => {
  const { store, andSees } = await open(t);
  const owner = await Owner.take(store);
  const works = [await owner.work(set('ann', {})), await owner.work(set('bob', { text: 'NUL \0' }))];
  await t.rejects(owner.save(...works), { name: 'DataRefusedError' });
  t.same((await andSees()).persons, []);
});

t.test('a merge remembers who took the place of whom', async (t) => {
  const { store, postgres } = await open(t);
  const owner = await Owner.take(store);
  for (const id of ['ann', 'bob', 'cat']) await owner.write(set(id, {}));
  await owner.write(mergeDangerously('bob', 'ann'), mergeDangerously('cat', 'bob'));
  const { rows } = await postgres.query<{ uuid: string; into_uuid: string }>(
    'SELECT uuid, into_uuid FROM tributary_merged',
  );
  t.same(
    new Map(rows.map(({ uuid, into_uuid }) => [uuid, into_uuid])),
    new Map([
      [personOf('ann'), personOf('cat')],
      [personOf('bob'), personOf('cat')],
    ]),
  );
});

t.test("PostHog's rows about a person that is merged away follow it", async (t) => {
  const { postgres } = await open(t);
  await postgres.query(`
    CREATE TABLE posthog_cohortpeople (
      id bigserial PRIMARY KEY, cohort_id integer NOT NULL, version integer,
      person_id bigint NOT NULL REFERENCES posthog_person (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE posthog_featureflaghashkeyoverride (
      id serial PRIMARY KEY, team_id integer NOT NULL, feature_flag_key varchar(400) NOT NULL,
      hash_key varchar(400) NOT NULL,
      person_id bigint NOT NULL REFERENCES posthog_person (id) DEFERRABLE INITIALLY DEFERRED,
      UNIQUE (team_id, person_id, feature_flag_key))`);
  const owner = await Owner.take(createPersonStore(postgres));
  for (const id of ['ann', 'bob', 'cat', 'dan']) await owner.write(set(id, {}));
  const PERSON = `(SELECT person_id FROM posthog_persondistinctid WHERE distinct_id = s.id)`;
  await postgres.query(
    `INSERT INTO posthog_cohortpeople (cohort_id, person_id) SELECT s.cohort, ${PERSON}
     FROM (VALUES (1, 'ann'), (1, 'bob'), (2, 'ann'), (2, 'cat'), (3, 'cat'), (4, 'dan')) AS s (cohort, id)`,
  );
  await postgres.query(
    `INSERT INTO posthog_featureflaghashkeyoverride (team_id, feature_flag_key, hash_key, person_id)
     SELECT 1, s.flag, s.id, ${PERSON}
     FROM (VALUES ('x', 'ann'), ('x', 'bob'), ('y', 'ann'), ('y', 'cat'), ('z', 'cat'), ('x', 'dan')) AS s (flag, id)`,
  );
  await owner.write(mergeDangerously('bob', 'ann'), mergeDangerously('bob', 'cat'));
  const cohorts = await postgres.query(
    `SELECT p.uuid, c.cohort_id FROM posthog_cohortpeople c JOIN posthog_person p ON p.id = c.person_id
     ORDER BY c.cohort_id`,
  );
  t.same(
    cohorts.rows.map(({ uuid, cohort_id }) => [uuid, cohort_id]),
    [
      [personOf('bob'), 1],
      [personOf('bob'), 2],
      [personOf('bob'), 3],
      [personOf('dan'), 4],
    ],
  );
  const flags = await postgres.query(
    `SELECT p.uuid, f.feature_flag_key AS flag, f.hash_key FROM posthog_featureflaghashkeyoverride f
     JOIN posthog_person p ON p.id = f.person_id ORDER BY f.feature_flag_key, f.hash_key`,
  );
  t.same(
    flags.rows.map(({ uuid, flag, hash_key }) => [uuid, flag, hash_key]),
    [
      [personOf('bob'), 'x', 'bob'],
      [personOf('dan'), 'x', 'dan'],
      [personOf('bob'), 'y', 'ann'],
      [personOf('bob'), 'z', 'cat'],
    ],
  );
});

t.test('the teams of one project share its group types, and each type names the project', async (t) => {
  const { store, postgres } = await open(t);
  await postgres.query(
    `INSERT INTO posthog_team (id, project_id, name, api_token)
     VALUES (1, 7, 'a', 'phc_a'), (2, 7, 'b', 'phc_b'), (3, NULL, 'c', 'phc_c')`,
  );
  const types = [
    { teamId: TEAM, type: 'company' },
    { teamId: asTeamId(2), type: 'team' },
    { teamId: asTeamId(2), type: 'company' },
    { teamId: asTeamId(3), type: 'company' },
    { teamId: asTeamId(4), type: 'company' },
  ];
  t.same(
    (await store.groupTypes(types)).map(({ index }) => index),
    [0, 1, 0, 0, 0],
  );
  const { rows } = await postgres.query(
    'SELECT team_id, project_id, group_type AS type FROM posthog_grouptypemapping ORDER BY team_id',
  );
  t.same(rows, [
    { team_id: 1, project_id: 7, type: 'company' },
    { team_id: 2, project_id: 7, type: 'team' },
    { team_id: 3, project_id: 3, type: 'company' },
    { team_id: 4, project_id: 4, type: 'company' },
  ]);
});

t.test('a lookup of nobody, and of an id with a quote, is harmless', async (t) => {
  const { store } = await open(t);
  const owner = await Owner.take(store);
  const id = `it's "quoted" \\ {a,b}, 100%`;
  await owner.write(identify(id, `${id} too`));
  const asked = [id, `${id} too`, 'nobody'].map((one) => ({ teamId: TEAM, distinctId: asDistinctId(one) }));
  t.same(
    new Set((await store.findByIds(asked)).map(({ distinctId }) => distinctId)),
    new Set([id, `${id} too`]),
  );
  t.same(await store.findByIds([]), []);
});
