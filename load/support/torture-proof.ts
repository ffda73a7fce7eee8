/** What must hold in the end, read from the stores themselves while nothing runs. */
import type { Books } from '../../src/books.ts';
import { parseRows } from '../../src/cli/client.ts';
import type { Row } from '../../src/cli/terminal.ts';
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { canonical } from '../../test/simulation/outputs.ts';
import { problem } from './proof.ts';
import { type Follower, uuidFor } from './torture-follow.ts';
import { type Fields, objectOf } from './torture-json.ts';

export interface Stores {
  readonly postgres: Postgres;
  readonly clickhouse: ClickHouse;
}

/** Rows by their `name`, without it. */
type Named = ReadonlyMap<string, Fields>;

/** Fewer than a query may answer. */
const ROWS_PER_QUERY = 50_000;

/** `created` in milliseconds; the ClickHouse tables have seconds. */
const PERSONS_IN_POSTGRES = `
  SELECT uuid::text AS name, version::int AS version, is_identified, properties,
    round(extract(epoch FROM created_at) * 1000)::float8 AS created
  FROM posthog_person ORDER BY id`;
const IDS_IN_POSTGRES = `
  SELECT d.distinct_id AS name, p.uuid::text AS person, d.version::int AS version
  FROM posthog_persondistinctid d LEFT JOIN posthog_person p ON p.id = d.person_id ORDER BY d.id`;
const GROUPS_IN_POSTGRES = `
  SELECT t.group_type || ' ' || g.group_key AS name, g.group_type_index AS type_index,
    g.group_properties AS properties, round(extract(epoch FROM g.created_at) * 1000)::float8 AS created
  FROM posthog_group g JOIN posthog_grouptypemapping t USING (team_id, group_type_index) ORDER BY g.id`;

const PERSONS_IN_CLICKHOUSE = `
  SELECT toString(id) AS name, toInt32(version) AS version, is_identified = 1 AS is_identified, properties,
    toUnixTimestamp(p.created_at) * 1000 AS created
  FROM person AS p FINAL WHERE is_deleted = 0 ORDER BY id`;
const IDS_IN_CLICKHOUSE = `
  SELECT distinct_id AS name, toString(person_id) AS person, toInt32(version) AS version
  FROM person_distinct_id2 FINAL WHERE is_deleted = 0 ORDER BY distinct_id`;
const GROUPS_IN_CLICKHOUSE = `
  SELECT concat(toString(group_type_index), ' ', group_key) AS name, group_type_index AS type_index,
    group_properties AS properties, toUnixTimestamp(g.created_at) * 1000 AS created
  FROM groups AS g FINAL ORDER BY group_type_index, group_key`;

/** For every id and every person that its rows were written with: where PostHog's queries lead them. */
const LED = `
  SELECT e.distinct_id AS name,
    toString(if(empty(override.distinct_id), e.person_id, override.person_id)) AS led, count() AS rows
  FROM events AS e
  LEFT JOIN (
    SELECT distinct_id, argMax(person_id, version) AS person_id
    FROM person_distinct_id_overrides
    WHERE team_id = 1 GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0
  ) AS override ON override.distinct_id = e.distinct_id
  GROUP BY name, led ORDER BY name, led`;

/** `books`: the last ones of the running system, once everything had settled. */
export async function proofProblems(stores: Stores, follower: Follower, books: Books): Promise<string[]> {
  const inPostgres = {
    persons: await fromPostgres(stores, PERSONS_IN_POSTGRES),
    ids: await fromPostgres(stores, IDS_IN_POSTGRES),
    groups: await fromPostgres(stores, GROUPS_IN_POSTGRES),
  };
  return [
    ...booksProblems(follower, books),
    ...(await rowProblems(stores, follower)),
    ...foldProblems(inPostgres, follower),
    ...(await copyProblems(stores, inPostgres)),
    ...(await homeProblems(stores, inPostgres)),
  ];
}

interface State {
  readonly persons: Named;
  readonly ids: Named;
  readonly groups: Named;
}

/** The books say what the records of the log, one by one, came to. */
function booksProblems({ fates, unsettled }: Follower, books: Books): string[] {
  const problems = problem(unsettled, 'records of the log have no fate');
  const { acknowledged, rows, dropped, dead_lettered, imbalance, waiting, in_flight, held } = books;
  const deadLetters = Object.values(dead_lettered).reduce((sum, count) => sum + count, 0);
  const say = (what: string, inBooks: unknown, inLog: unknown): void => {
    if (canonical(inBooks) !== canonical(inLog)) {
      problems.push(`the books have ${canonical(inBooks)} ${what}, the log ${canonical(inLog)}`);
    }
  };
  say('acknowledged', acknowledged, fates.records);
  say('rows', rows, fates.rows);
  say('dropped', dropped, fates.dropped);
  say('dead letters', deadLetters, fates.deadLetters);
  say('imbalance, waiting, in flight and held', [imbalance, waiting, in_flight, held], [0, 0, 0, 0]);
  return problems;
}

/** Every event of the log is a row, once, unless it was dropped or is a dead letter; and nothing else is. */
async function rowProblems(stores: Stores, { logged, dropped }: Follower): Promise<string[]> {
  const rows = new Map<string, number>();
  const pages = Math.ceil((logged.size * 2 + 1) / ROWS_PER_QUERY);
  for (let page = 0; page < pages; page++) {
    const sql = `SELECT toString(uuid) AS uuid, count() AS rows FROM events FINAL
      WHERE cityHash64(uuid) % ${pages} = ${page} GROUP BY uuid`;
    for (const row of parseRows(await stores.clickhouse.query(sql)))
      rows.set(String(row['uuid']), Number(row['rows']));
  }
  const dead = await fromClickHouse(
    stores,
    'SELECT toString(event_uuid) AS name FROM events_dead_letter_queue',
  );
  const isEnded = (uuid: string): boolean => rows.has(uuid) || dropped.has(uuid) || dead.has(uuid);
  return [
    ...problem(
      [...logged].filter((uuid) => !isEnded(uuid)),
      'events of the log are no row, no dead letter and no drop',
    ),
    ...problem(
      [...rows.keys()].filter((uuid) => !logged.has(uuid)),
      'rows are of events that are not in the log',
    ),
    ...problem(
      [...rows].flatMap(([uuid, count]) => (count > 1 ? [uuid] : [])),
      'events have several rows after FINAL',
    ),
  ];
}

/** Persons, ids and groups are those of the sequential fold, with the versions of the witness. */
function foldProblems({ persons, ids, groups }: State, { oracle, versions }: Follower): string[] {
  const folded = [...oracle.persons].map(([uuid, { properties, isIdentified, createdAtMs }]) => {
    const version = versions.get(uuid) ?? 0;
    return [uuid, { version, is_identified: isIdentified, properties, created: createdAtMs }] as const;
  });
  const foldedGroups = [...oracle.groups.values()].map(
    ({ type, key, properties, createdAtMs }) =>
      [`${type} ${key}`, { properties, created: createdAtMs }] as const,
  );
  return [
    ...differing('persons are not as the sequential fold leaves them', persons, new Map(folded)),
    ...differing(
      'distinct ids do not lead where the sequential fold says',
      mapped(ids, ({ person }) => ({ person })),
      new Map([...oracle.ids].map(([id, person]) => [id, { person }])),
    ),
    ...differing(
      'groups are not as the sequential fold leaves them',
      mapped(groups, ({ type_index: _index, ...group }) => group),
      new Map(foldedGroups),
    ),
  ];
}

/** ClickHouse has persons, ids and groups as Postgres has them. */
async function copyProblems(stores: Stores, { persons, ids, groups }: State): Promise<string[]> {
  const inSeconds = ({ created, ...row }: Fields): Fields => ({
    ...row,
    created: Math.floor(Number(created) / 1_000) * 1_000,
  });
  const byIndex = [...groups].map(
    ([name, group]) =>
      [`${group['type_index']} ${name.slice(name.indexOf(' ') + 1)}`, inSeconds(group)] as const,
  );
  return [
    ...differing(
      'persons differ between Postgres and ClickHouse',
      mapped(persons, inSeconds),
      await fromClickHouse(stores, PERSONS_IN_CLICKHOUSE),
    ),
    ...differing(
      'distinct ids differ between Postgres and ClickHouse',
      ids,
      await fromClickHouse(stores, IDS_IN_CLICKHOUSE),
    ),
    ...differing(
      'groups differ between Postgres and ClickHouse',
      new Map(byIndex),
      await fromClickHouse(stores, GROUPS_IN_CLICKHOUSE),
    ),
  ];
}

/** By the overrides every row leads to the person of its id; an id without one, to the person it would get. */
async function homeProblems({ clickhouse }: Stores, { ids }: State): Promise<string[]> {
  const astray: string[] = [];
  for (const { name, led } of await pages((page) => clickhouse.query(`${LED} ${page}`).then(parseRows))) {
    const home = ids.get(String(name))?.['person'] ?? uuidFor(String(name));
    if (led !== home) astray.push(`${name} to ${led} instead of ${home}`);
  }
  return problem(astray, 'ids have rows that do not lead home');
}

const fromPostgres = async ({ postgres }: Stores, sql: string): Promise<Named> =>
  named(await pages((page) => postgres.query<Row>(`${sql} ${page}`).then(({ rows }) => rows)));

const fromClickHouse = async ({ clickhouse }: Stores, sql: string): Promise<Named> =>
  named(await pages((page) => clickhouse.query(`${sql} ${page}`).then(parseRows)));

async function pages(read: (page: string) => Promise<readonly Row[]>): Promise<readonly Row[]> {
  const all: Row[] = [];
  for (;;) {
    const rows = await read(`LIMIT ${ROWS_PER_QUERY} OFFSET ${all.length}`);
    for (const row of rows) all.push(row);
    if (rows.length < ROWS_PER_QUERY) return all;
  }
}

/** As both databases have it. */
function named(rows: readonly Row[]): Named {
  return new Map(
    rows.map(({ name, ...row }) => {
      const { properties, is_identified } = row;
      return [
        String(name),
        {
          ...row,
          ...(properties === undefined ? {} : { properties: parsed(properties) }),
          ...(is_identified === undefined ? {} : { is_identified: Boolean(is_identified) }),
        },
      ];
    }),
  );
}

const parsed = (json: unknown): Fields => objectOf(typeof json === 'string' ? JSON.parse(json) : json);

const mapped = (some: Named, change: (row: Fields) => Fields): Named =>
  new Map([...some].map(([name, row]) => [name, change(row)]));

function differing(what: string, some: Named, others: Named): string[] {
  const found: string[] = [];
  for (const name of new Set([...some.keys(), ...others.keys()])) {
    const [is, shouldBe] = [canonical(some.get(name)), canonical(others.get(name))];
    if (is !== shouldBe) found.push(`${name} (${is}, not ${shouldBe})`);
  }
  return problem(found, what);
}
