/**
 * The three tables with which PostHog explains its event buffer, sent by a real posthog-node: whose each event is
 * depends on when its identify comes.
 */
import { randomUUID } from 'node:crypto';
import { PostHog } from 'posthog-node';
import t, { type Test } from 'tap';
import { dataFolder, type Row, startSystem, type TestSystem, TOKEN, until } from './harness.ts';

t.setTimeout(600_000);

const WITHOUT_THE_HOLD = `
ID  Event           distinct_id                        person_id
1   pageview        anon-1                             user-1
2   backend signup  Alice                              user-2
3   identify        Alice (anon_distinct_id = anon-1)  user-2
`;

/** Row 2 was processed last. */
const WITH_THE_HOLD = `
ID  Event           distinct_id                        person_id
1   pageview        anon-1                             user-1
2   backend signup  Alice                              user-1
3   identify        Alice (anon_distinct_id = anon-1)  user-1
`;

/** Row 4 merges user-2 into user-1. */
const ANOTHER_BROWSER = `
ID  Event     distinct_id                        person_id
1   pageview  anon-1                             user-1
2   identify  Alice (anon_distinct_id = anon-1)  user-1
3   pageview  anon-2                             user-2
4   identify  Alice (anon_distinct_id = anon-2)  user-1
`;

/** Every event with its person as it was written. Persons are numbered in the order in which they appear. */
const AS_WRITTEN = `
  SELECT id, event, distinct_id, anon_distinct_id,
    concat('user-', toString(dense_rank() OVER (ORDER BY first_id))) AS person_id
  FROM (
    SELECT *, min(id) OVER (PARTITION BY person_id) AS first_id
    FROM (
      SELECT toUInt32(row_number() OVER (ORDER BY timestamp)) AS id, event, distinct_id, person_id,
        JSONExtractString(properties, '$anon_distinct_id') AS anon_distinct_id
      FROM events
    )
  )
  ORDER BY id`;

/** The same events with the persons that PostHog's queries show: the overrides lead to those who are left. */
const AS_QUERIED = `
  SELECT DISTINCT toString(if(empty(override.distinct_id), e.person_id, override.person_id)) AS person
  FROM events AS e
  LEFT JOIN (
    SELECT distinct_id, argMax(person_id, version) AS person_id
    FROM person_distinct_id_overrides
    WHERE team_id = 1
    GROUP BY distinct_id
    HAVING argMax(is_deleted, version) = 0
  ) AS override ON override.distinct_id = e.distinct_id
  WHERE e.team_id = 1`;

const OVERRIDES = 'SELECT distinct_id, toString(person_id) AS person FROM person_distinct_id_overrides FINAL';
const PERSONS = 'SELECT uuid::text AS person FROM posthog_person';

t.test(
  'without the hold, the sign-up makes a second person, and the identify merges the first into it',
  async (t) => {
    const { system, pageview, backendSignup, identify } = await start(t, 0);
    await pageview('anon-1');
    await backendSignup('Alice');
    await identify('Alice', 'anon-1');
    await system.settled();
    await isTable(t, system, WITHOUT_THE_HOLD);
    await isOnePersonWhenQueried(t, system);
  },
);

t.test('with the hold, the sign-up waits for the identify, and nobody is made twice', async (t) => {
  const { system, pageview, heldBackendSignup, identify } = await start(t, 60);
  await pageview('anon-1');
  await heldBackendSignup('Alice');
  await identify('Alice', 'anon-1');
  await system.settled();
  await isTable(t, system, WITH_THE_HOLD);
  await isOnePersonWhenQueried(t, system);
  const [shown] = await system.sql(`
    SELECT JSONExtractString(person_properties, 'name') AS name FROM events WHERE event = 'backend signup'`);
  t.equal(shown?.['name'], 'Alice', 'it was processed last: it shows the person as the identify left it');
});

t.test(
  'the hold has no effect on what comes later: another browser is a person until Alice logs in',
  async (t) => {
    const { system, pageview, identify } = await start(t, 2);
    await pageview('anon-1');
    await identify('Alice', 'anon-1');
    await pageview('anon-2');
    await identify('Alice', 'anon-2');
    await system.settled();
    await isTable(t, system, ANOTHER_BROWSER);
    await isOnePersonWhenQueried(t, system);
    const overrides = await system.sql(`${OVERRIDES} WHERE distinct_id = 'anon-2'`);
    t.same(
      overrides,
      [{ distinct_id: 'anon-2', ...(await system.postgres(PERSONS))[0] }],
      'anon-2 is led there',
    );
  },
);

/**
 * A system, and what a website and its backend send. Each event is a row, or held, before the next one is sent: ids
 * are in partitions of their own, and nothing orders those.
 */
async function start(t: Test, holdSeconds: number) {
  const system = await startSystem(t, await dataFolder(t), {
    BUFFER_CONVERSION_SECONDS: String(holdSeconds),
  });
  const posthog = new PostHog(TOKEN, { host: system.captureUrl });
  t.teardown(() => posthog.shutdown());
  posthog.on('error', (error: unknown) => t.fail(String(error)));
  let sent = 0;
  const rowsOfAll = async (): Promise<void> => {
    await posthog.flush();
    sent += 1;
    await until(`${sent} rows`, async () => {
      const [row] = await system.sql('SELECT count() AS rows FROM events');
      return Number(row?.['rows']) === sent || undefined;
    });
  };
  return {
    system,
    pageview(anonymousId: string): Promise<void> {
      posthog.capture({
        distinctId: anonymousId,
        event: 'pageview',
        properties: { $device_id: anonymousId },
      });
      return rowsOfAll();
    },
    backendSignup(distinctId: string): Promise<void> {
      posthog.capture({ distinctId, event: 'backend signup' });
      return rowsOfAll();
    },
    async heldBackendSignup(distinctId: string): Promise<void> {
      const uuid = randomUUID();
      posthog.capture({ distinctId, event: 'backend signup', uuid });
      await posthog.flush();
      await until('the sign-up is held', async () => {
        const answer = await fetch(`${system.consoleUrl}/_held?event=${uuid}`);
        return JSON.parse(await answer.text()).state === 'held' || undefined;
      });
      sent += 1;
    },
    identify(distinctId: string, $anon_distinct_id: string): Promise<void> {
      posthog.identify({ distinctId, properties: { $set: { name: distinctId }, $anon_distinct_id } });
      return rowsOfAll();
    },
  };
}

async function isTable(t: Test, system: TestSystem, expected: string): Promise<void> {
  const table = asTable(await system.sql(AS_WRITTEN));
  t.comment(`\n${table}`);
  t.equal(`\n${table}\n`, expected);
}

function asTable(rows: readonly Row[]): string {
  const lines = rows.map(({ id, event, distinct_id, anon_distinct_id, person_id }) => [
    String(id),
    String(event).replace('$', ''),
    anon_distinct_id === '' ? String(distinct_id) : `${distinct_id} (anon_distinct_id = ${anon_distinct_id})`,
    String(person_id),
  ]);
  lines.unshift(['ID', 'Event', 'distinct_id', 'person_id']);
  const width = (column: number): number => Math.max(...lines.map((cells) => cells[column]?.length ?? 0));
  const padded = lines.map((cells) => cells.map((cell, column) => cell.padEnd(width(column))));
  return padded.map((cells) => cells.join('  ').trimEnd()).join('\n');
}

/** In Postgres and in ClickHouse one person is left, and every event leads there. */
async function isOnePersonWhenQueried(t: Test, system: TestSystem): Promise<void> {
  const persons = await system.postgres(PERSONS);
  t.equal(persons.length, 1, 'one person is left');
  t.same(
    await system.sql('SELECT toString(id) AS person FROM person FINAL WHERE is_deleted = 0'),
    persons,
    'the same in ClickHouse',
  );
  t.same(await system.sql(AS_QUERIED), persons, 'every event is theirs when it is queried');
}
