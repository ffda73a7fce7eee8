/** What merges must leave, whatever their order was: seen from the rows, the persons and the ids in both databases. */
import { isDeepStrictEqual } from 'node:util';
import type { Row } from '../../src/cli/terminal.ts';
import type { LoadEvent } from './client.ts';
import { joinOf } from './merge-events.ts';
import { problem } from './proof.ts';
import type { System } from './system.ts';

/** Fewer than a query of the console may answer. */
const ROWS_PER_QUERY = 50_000;

const IDS_IN_POSTGRES = `
  SELECT d.distinct_id, p.uuid::text AS person, d.version::int AS version
  FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id ORDER BY d.id`;
const IDS_IN_CLICKHOUSE = `
  SELECT distinct_id, toString(person_id) AS person, toInt32(version) AS version
  FROM person_distinct_id2 FINAL WHERE is_deleted = 0 ORDER BY distinct_id`;
const PERSONS_IN_POSTGRES = `
  SELECT uuid::text AS person, version::int AS version, is_identified, properties,
    extract(epoch FROM date_trunc('second', created_at))::int AS created_at
  FROM posthog_person ORDER BY id`;
const PERSONS_IN_CLICKHOUSE = `
  SELECT toString(id) AS person, toInt32(version) AS version, is_identified = 1 AS is_identified, properties,
    toInt32(toUnixTimestamp(p.created_at)) AS created_at
  FROM person AS p FINAL WHERE is_deleted = 0 ORDER BY id`;

/** Every row with the person that PostHog's queries show for it, beside the one that its distinct id has. */
const ROWS_LED_HOME = `
  SELECT toString(e.uuid) AS uuid, e.person_id AS written, d.person_id AS home,
    if(empty(override.distinct_id), e.person_id, override.person_id) AS led
  FROM events AS e
  LEFT JOIN (
    SELECT distinct_id, argMax(person_id, version) AS person_id
    FROM person_distinct_id_overrides
    WHERE team_id = 1 GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0
  ) AS override ON override.distinct_id = e.distinct_id
  LEFT JOIN (SELECT distinct_id, person_id FROM person_distinct_id2 FINAL WHERE is_deleted = 0) AS d
    ON d.distinct_id = e.distinct_id`;
const ASTRAY = `SELECT uuid FROM (${ROWS_LED_HOME}) WHERE led != home LIMIT 100`;
const NOBODYS = `
  SELECT uuid FROM (${ROWS_LED_HOME})
  WHERE written != home AND written NOT IN (SELECT id FROM person FINAL WHERE is_deleted = 1) LIMIT 100`;
const REFUSED = `
  SELECT DISTINCT JSONExtractString(details, 'targetPersonDistinctId') AS distinct_id
  FROM ingestion_warnings WHERE type = 'cannot_merge_already_identified' ORDER BY distinct_id`;

export interface MergeCounts {
  readonly persons: number;
  readonly distinctIds: number;
  /** Rows whose person was merged away after they were written: the overrides lead them home. */
  readonly rowsOverridden: number;
}

export async function countMerges(system: System): Promise<MergeCounts> {
  const [counts] = await system.query(
    `SELECT (SELECT count(*) FROM posthog_person) AS persons,
      (SELECT count(*) FROM posthog_persondistinctid) AS ids`,
    'postgres',
  );
  const [rows] = await system.query(`SELECT countIf(written != home) AS overridden FROM (${ROWS_LED_HOME})`);
  return {
    persons: Number(counts?.['persons']),
    distinctIds: Number(counts?.['ids']),
    rowsOverridden: Number(rows?.['overridden']),
  };
}

export async function mergeProblems(system: System, events: readonly LoadEvent[]): Promise<string[]> {
  const idRows = await everyRow(system, IDS_IN_POSTGRES, 'postgres');
  const ids = byName(idRows, 'distinct_id');
  const persons = byName(await everyRow(system, PERSONS_IN_POSTGRES, 'postgres'), 'person');
  const shownIds = byName(await everyRow(system, IDS_IN_CLICKHOUSE), 'distinct_id');
  const shownPersons = byName(await everyRow(system, PERSONS_IN_CLICKHOUSE), 'person');
  const [astray, nobodys] = await Promise.all([system.query(ASTRAY), system.query(NOBODYS)]);
  const personOf = new Map([...ids].map(([id, row]) => [id, String(row['person'])]));
  return [
    ...problem(differing(ids, shownIds), 'distinct ids differ between Postgres and ClickHouse'),
    ...problem(differing(persons, shownPersons), 'persons differ between Postgres and ClickHouse'),
    ...problem(uuidsIn(astray), 'rows do not lead to the person of their distinct id'),
    ...problem(uuidsIn(nobodys), 'rows are of persons who were never there'),
    ...problem(await brokenJoins(system, events, personOf), 'pairs are two persons, and no warning says why'),
    ...problem(strangers(events, personOf), 'distinct ids share a person though no event joins them'),
    ...problem(misplaced(events, personOf, persons), 'persons do not have just what their events set'),
  ];
}

const uuidsIn = (rows: readonly Row[]): string[] => rows.map((row) => String(row['uuid']));

async function everyRow(
  system: System,
  sql: string,
  database: 'clickhouse' | 'postgres' = 'clickhouse',
): Promise<readonly Row[]> {
  const all: Row[] = [];
  for (;;) {
    const page = await system.query(`${sql} LIMIT ${ROWS_PER_QUERY} OFFSET ${all.length}`, database);
    for (const row of page) all.push(row);
    if (page.length < ROWS_PER_QUERY) return all;
  }
}

function byName(rows: readonly Row[], name: string): ReadonlyMap<string, Row> {
  return new Map(rows.map((row) => [String(row[name]), normal(row)]));
}

/** As both databases have it. */
function normal({ properties, is_identified, ...row }: Row): Row {
  return {
    ...row,
    is_identified: Boolean(is_identified),
    properties: typeof properties === 'string' ? JSON.parse(properties) : properties,
  };
}

function differing(some: ReadonlyMap<string, Row>, others: ReadonlyMap<string, Row>): string[] {
  return [...new Set([...some.keys(), ...others.keys()])].filter(
    (name) => !isDeepStrictEqual(some.get(name), others.get(name)),
  );
}

/** Whoever was said to be one person is one, unless a warning says that an identified person was not merged. */
async function brokenJoins(
  system: System,
  events: readonly LoadEvent[],
  personOf: ReadonlyMap<string, string>,
): Promise<string[]> {
  const refused = new Set((await everyRow(system, REFUSED)).map((row) => String(row['distinct_id'])));
  return events.flatMap((event) => {
    const join = joinOf(event);
    if (join === undefined || refused.has(join.distinctId)) return [];
    const { distinctId, otherId } = join;
    const person = personOf.get(distinctId);
    return person !== undefined && person === personOf.get(otherId) ? [] : [`${distinctId} and ${otherId}`];
  });
}

/** Ids of one person that are not connected by what the events say. */
function strangers(events: readonly LoadEvent[], personOf: ReadonlyMap<string, string>): string[] {
  const parents = new Map<string, string>();
  const rootOf = (id: string): string => {
    let root = id;
    for (let parent = parents.get(root); parent !== undefined; parent = parents.get(root)) root = parent;
    return root;
  };
  for (const event of events) {
    const join = joinOf(event);
    if (join === undefined) continue;
    const [root, otherRoot] = [rootOf(join.distinctId), rootOf(join.otherId)];
    if (root !== otherRoot) parents.set(otherRoot, root);
  }
  const rootOfPerson = new Map<string, string>();
  return [...personOf].flatMap(([id, person]) => {
    const known = rootOfPerson.get(person);
    if (known === undefined) rootOfPerson.set(person, rootOf(id));
    return known === undefined || known === rootOf(id) ? [] : [id];
  });
}

/** Persons who lack something that an event of theirs has set, or have what was set for others. */
function misplaced(
  events: readonly LoadEvent[],
  personOf: ReadonlyMap<string, string>,
  persons: ReadonlyMap<string, Row>,
): string[] {
  const expected = new Map<string, Record<string, unknown>>(
    [...persons.keys()].map((person) => [person, {}]),
  );
  for (const { distinct_id, properties } of events) {
    Object.assign(expected.get(personOf.get(distinct_id) ?? '') ?? {}, properties['$set']);
  }
  return [...expected].flatMap(([person, set]) => {
    const properties = Object.entries(Object(persons.get(person)?.['properties']));
    const found = Object.fromEntries(properties.filter(([name]) => name.startsWith('set_')));
    return isDeepStrictEqual(found, set) ? [] : [person];
  });
}
