/** A real posthog-node, as an application uses it. */
import { PostHog } from 'posthog-node';
import t from 'tap';
import { dataFolder, type Row, startSystem, TOKEN } from './harness.ts';

const PERSONS = 100;
const ROUNDS = 10;
const EVENTS = PERSONS * ROUNDS;
/** Persons for whom `identify` is called at the end. */
const IDENTIFIED = 10;

type Properties = Readonly<Record<string, string | number>>;

/** What one call of the SDK says about a person. */
interface Call {
  readonly distinctId: string;
  readonly uuid: string;
  readonly event: string;
  readonly set: Properties;
  readonly setOnce: Properties;
}

/** Persons take turns, so that every batch of the SDK holds events of many. */
function makeCalls(): Call[] {
  return Array.from({ length: EVENTS }, (_, index) => {
    const round = Math.floor(index / PERSONS);
    return {
      distinctId: `person-${index % PERSONS}`,
      uuid: `0199aaaa-0000-7000-8000-${index.toString(16).padStart(12, '0')}`,
      event: round === 4 ? '$identify' : 'visited',
      set: {
        plan: `plan ${round}`,
        [`key ${round % 3}`]: index,
        ...(round > 5 ? { first: `set ${round}` } : {}),
      },
      setOnce: { first: `once ${round}`, [`once ${round % 4}`]: index },
    };
  });
}

/**
 * PostHog's promise: `$set` writes always, `$set_once` only where there is nothing yet. What each person is after each
 * call, by the call's uuid.
 */
function promised(calls: readonly Call[]): Map<string, Properties> {
  const persons = new Map<string, Properties>();
  return new Map(
    calls.map(({ distinctId, uuid, set, setOnce }) => {
      const after = { ...setOnce, ...persons.get(distinctId), ...set };
      persons.set(distinctId, after);
      return [uuid, after];
    }),
  );
}

t.test('1,000 events of 100 persons are 1,000 rows, each on the person that PostHog promises', async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  const posthog = new PostHog(TOKEN, { host: system.captureUrl });
  const errors: unknown[] = [];
  posthog.on('error', (error: unknown) => errors.push(error));
  const calls = makeCalls();
  const begun = performance.now();
  for (const { distinctId, uuid, event, set, setOnce } of calls) {
    posthog.capture({ distinctId, event, uuid, properties: { $set: set, $set_once: setOnce } });
  }
  for (let person = 0; person < IDENTIFIED; person += 1) {
    posthog.identify({ distinctId: `person-${person}`, properties: { identified: true } });
  }
  await posthog.shutdown();
  t.same(errors, [], 'the SDK has nothing to complain about');
  const books = await system.settled();
  t.comment(`sent and settled in ${Math.round(performance.now() - begun)} ms`);
  t.same([books.acknowledged, books.rows], [EVENTS + IDENTIFIED, EVENTS + IDENTIFIED]);

  const after = promised(calls);
  const persons = await system.postgres(`
    SELECT d.distinct_id, p.uuid, p.properties - '$creator_event_uuid' AS properties
    FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id ORDER BY d.id`);
  const expected = calls.slice(-PERSONS).map(({ distinctId, uuid }, person) => ({
    distinct_id: distinctId,
    properties: { ...after.get(uuid), ...(person < IDENTIFIED ? { identified: true } : {}) },
  }));
  t.same(sorted(persons.map(({ uuid: _uuid, ...person }) => person)), sorted(expected), 'in Postgres');

  const shown = await system.sql(`
    SELECT distinct_id, toString(id) AS uuid, properties
    FROM person_distinct_id2 AS d FINAL JOIN person AS p FINAL ON p.id = d.person_id
    WHERE d.is_deleted = 0 AND p.is_deleted = 0`);
  t.same(sorted(shown.map(withProperties)), sorted(persons), 'the same persons in ClickHouse');

  const rows = await system.sql(
    `SELECT toString(uuid) AS uuid, event, distinct_id, toString(person_id) AS person, person_properties AS properties
     FROM events`,
  );
  const uuids = new Map(persons.map(({ distinct_id, uuid }) => [distinct_id, uuid]));
  t.same(
    rows.filter(({ distinct_id, person }) => person !== uuids.get(distinct_id)),
    [],
    'every row is on the person of its distinct id',
  );
  const byUuid = new Map(rows.map((row) => [row['uuid'], row]));
  t.same([rows.length, byUuid.size], [EVENTS + IDENTIFIED, EVENTS + IDENTIFIED], 'every uuid is one row');
  for (const { distinctId, uuid, event } of calls) {
    const { event: name, distinct_id, properties } = withProperties(byUuid.get(uuid) ?? {});
    const is = [name, distinct_id, properties];
    t.same(is, [event, distinctId, after.get(uuid)], `${uuid} shows the person as it was then`);
  }
  t.equal(rows.filter(({ event }) => event === '$identify').length, IDENTIFIED + PERSONS);
});

/** With its properties parsed, and without what only Tributary knows. */
function withProperties({ properties, ...row }: Row): Row {
  const { $creator_event_uuid: _creator, ...own } = JSON.parse(String(properties ?? '{}')) as Row;
  return { ...row, properties: own };
}

const sorted = (rows: readonly Row[]): Row[] =>
  rows.toSorted((a, b) => String(a['distinct_id']).localeCompare(String(b['distinct_id'])));
