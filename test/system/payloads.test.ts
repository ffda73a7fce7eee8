/** Every kind of bad payload, posted to one running system that has to go on as if nothing had happened. */
import t, { type Test } from 'tap';
import { captureKey } from '../../src/event/captured.ts';
import { asDistinctId, asToken } from '../../src/event/ids.ts';
import { partitionOf } from '../../src/storage/murmur2.ts';
import { dataFolder, type Row, startSystem, type TestSystem, TOKEN, until } from './harness.ts';
import { bodyOf, type Ending, PAYLOADS, type RowEnding } from './payloads.ts';

const PARTITIONS = 4;
const WARNING = 40;
/** On a machine that has more to do. */
const BUSY = 'Postgres answers late';
const HOT_EVENTS = 500;
/** Payloads after which the rows of ordinary events are waited for. */
const TOGETHER = 10;

const uuidOf = (group: string, index: number): string =>
  `0199${group}-0000-7000-8000-${index.toString(16).padStart(12, '0')}`;

/** A distinct id for each partition of the log. */
const ORDINARY_IDS = Array.from({ length: PARTITIONS }, (_, partition) => {
  for (let n = 0; ; n += 1) {
    const key = captureKey(asToken(TOKEN), asDistinctId(`ordinary ${n}`));
    if (partitionOf(key, PARTITIONS) === partition) return `ordinary ${n}`;
  }
});

/** One ordinary event for each partition. */
const others = (round: number) =>
  ORDINARY_IDS.map((distinct_id, partition) => ({
    uuid: uuidOf('cccc', round * PARTITIONS + partition),
    event: 'ordinary',
    distinct_id,
    properties: { $set: { round } },
  }));

/** Waits until all of them up to this round are rows. */
async function haveGoneThrough({ sql }: TestSystem, round: number): Promise<void> {
  await until(`rows of the events after payload ${round}`, async () => {
    const [found] = await sql(`SELECT uniqExact(uuid) AS rows FROM events WHERE event = 'ordinary'`);
    return found?.['rows'] === (round + 1) * PARTITIONS ? true : undefined;
  });
}

interface Posted {
  readonly name: string;
  readonly uuid: string;
  readonly ending: Ending;
}

/** What the databases show of the events by their uuids. */
interface Shown {
  readonly rows: Map<unknown, Row>;
  readonly deadLetters: Map<unknown, Row>;
  readonly warnings: readonly string[];
}

async function show({ sql }: TestSystem): Promise<Shown> {
  const byUuid = (rows: readonly Row[]) => new Map(rows.map((row) => [row['uuid'], row]));
  return {
    rows: byUuid(
      await sql(`
        SELECT toString(uuid) AS uuid, event, distinct_id, toString(timestamp) AS timestamp, properties,
          person_properties, person_mode, count() OVER (PARTITION BY uuid) AS copies
        FROM events WHERE event NOT IN ('ordinary', 'hot')`),
    ),
    deadLetters: byUuid(
      await sql(`
        SELECT toString(event_uuid) AS uuid, event, error, error_location, tags, raw_payload
        FROM events_dead_letter_queue`),
    ),
    warnings: (await sql('SELECT type, details FROM ingestion_warnings')).map(
      ({ type, details }) => `${type} ${JSON.parse(String(details)).eventUuid}`,
    ),
  };
}

function checkEnding(t: Test, { name, uuid, ending }: Posted, { rows, deadLetters, warnings }: Shown): void {
  const row = rows.get(uuid);
  if (ending.kind === 'row') checkRow(t, name, ending, row);
  // A repeat has the row of the first one.
  else if (ending.kind !== 'dropped') t.equal(row, undefined, `${name}: no row`);
  const letter = deadLetters.get(uuid);
  t.equal(
    letter?.['error'],
    ending.kind === 'dead_letter' ? ending.reason : undefined,
    `${name}: dead letter`,
  );
  if (letter) {
    t.match(
      letter['tags'],
      [/^events_plugin_ingestion:\d:\d+$/, /\S/],
      `${name}: where it was, and what is wrong`,
    );
    t.not(letter['raw_payload'], '', `${name}: what it was`);
  }
  const warning = 'warning' in ending ? ending.warning : undefined;
  const own = warnings.filter((text) => text.endsWith(uuid)).map((text) => text.split(' ')[0]);
  t.same(own, warning === undefined ? [] : [warning], `${name}: warnings`);
}

function checkRow(
  t: Test,
  name: string,
  { columns = {}, properties = {}, person = {} }: RowEnding,
  row?: Row,
): void {
  if (!t.equal(row?.['copies'], 1, `${name}: one row`) || !row) return;
  for (const [column, expected] of Object.entries(columns)) {
    if (typeof expected !== 'function') t.equal(row[column], expected, `${name}: ${column}`);
    else t.ok(expected(row[column]), `${name}: ${column} is ${row[column]}`);
  }
  for (const [column, expected] of [
    ['properties', properties],
    ['person_properties', person],
  ] as const) {
    const shown = new Map(Object.entries(JSON.parse(String(row[column]))));
    for (const [key, value] of Object.entries(expected)) {
      t.same(shown.get(key), value, `${name}: ${key} of ${column}`);
    }
  }
}

/** How often each reason is to be met. */
function reasons(posted: readonly Posted[], kind: Ending['kind']): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { ending } of posted) {
    if (ending.kind !== kind || !('reason' in ending)) continue;
    counts[ending.reason] = (counts[ending.reason] ?? 0) + 1;
  }
  return counts;
}

t.test('one running system takes every payload', async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  const posted: Posted[] = [];

  await t.test('each is answered as it should be, and the events after it go through', async (t) => {
    for (const [index, [name, payload, ending]] of PAYLOADS.entries()) {
      const ownUuid = typeof payload === 'object' && 'uuid' in payload ? String(payload['uuid']) : undefined;
      const columns = ending.kind === 'row' ? ending.columns : undefined;
      const uuid = ownUuid ?? String(columns?.['uuid'] ?? uuidOf('bbbb', index));
      const { status, text } = await system.post('/i/v0/e', bodyOf(payload, uuid));
      t.equal(status, ending.kind === 'refused' ? ending.status : 200, `${name}: ${text.trim()}`);
      if (ending.kind === 'refused') t.match(text, ending.says, `${name}: the answer names the fault`);
      posted.push({ name, uuid, ending });
      await system.send(others(index));
      if (index % TOGETHER === 0) await haveGoneThrough(system, index);
    }
    await haveGoneThrough(system, PAYLOADS.length - 1);
  });

  await t.test('what is too large for a person takes none of it down', async (t) => {
    const events = [{ before: 1 }, { blob: 'x'.repeat(700_000) }, { after: 2 }].map(($set, n) => ({
      uuid: uuidOf('eeee', n),
      event: 'middle',
      distinct_id: 'too large in the middle',
      properties: { $set },
    }));
    await system.send(events);
    await system.settled();
    const rows = await system.sql(`
      SELECT JSONExtractKeys(person_properties) AS keys FROM events
      WHERE distinct_id = 'too large in the middle' ORDER BY uuid`);
    t.same(rows, [
      { keys: ['before', '$creator_event_uuid'] },
      { keys: ['before', '$creator_event_uuid'] },
      { keys: ['before', '$creator_event_uuid', 'after'] },
    ]);
  });

  await t.test('500 events of one distinct id in one batch are 500 rows on one person', async (t) => {
    const events = Array.from({ length: HOT_EVENTS }, (_, n) => ({
      uuid: uuidOf('dddd', n),
      event: 'hot',
      distinct_id: 'hot',
      properties: { n, $set: { last: n }, $set_once: { first: n } },
    }));
    await system.send(events);
    await system.settled();
    const rows = await system.sql(`
      SELECT JSONExtractInt(properties, 'n') AS n, JSONExtractInt(person_properties, 'last') AS last,
        JSONExtractInt(person_properties, 'first') AS first
      FROM events WHERE event = 'hot' ORDER BY n`);
    t.same(
      rows,
      events.map((_, n) => ({ n, last: n, first: 0 })),
      'each shows the person as it was then',
    );
  });

  await t.test('each has the fate that it should have', async (t) => {
    await system.settled();
    const shown = await show(system);
    for (const one of posted) checkEnding(t, one, shown);
  });

  await t.test('the books hold every one of them, and balance', async (t) => {
    const refused = reasons(posted, 'refused');
    const books = await until('the counts of the door', async () => {
      const now = await system.settled();
      return JSON.stringify(sorted(now.door.refused)) === JSON.stringify(sorted(refused)) ? now : undefined;
    });
    t.same(books.door, { refused, discarded: reasons(posted, 'discarded'), dead_lettered: {} });
    t.same(books.dropped, reasons(posted, 'dropped'));
    t.same(books.dead_lettered, reasons(posted, 'dead_letter'));
    const rows = posted.filter(({ ending }) => ending.kind === 'row').length;
    t.equal(books.rows, rows + PAYLOADS.length * PARTITIONS + HOT_EVENTS + 3);
  });

  await t.test('ClickHouse shows the persons that Postgres has', async (t) => {
    const shown = await system.sql('SELECT toString(id) AS uuid, properties FROM person FINAL ORDER BY uuid');
    t.same(
      shown.map(({ uuid, properties }) => ({ uuid, properties: JSON.parse(String(properties)) })),
      await system.postgres('SELECT uuid, properties FROM posthog_person ORDER BY uuid::text'),
    );
  });

  await t.test('the process is the same, healthy, and has nothing to complain about', async (t) => {
    t.ok(process.kill(system.pid, 0), 'it lives');
    t.equal(await system.health(), 200);
    const complaints = system.log.filter(({ level, msg }) => level >= WARNING && msg !== BUSY);
    t.same(complaints, []);
  });

  await t.test('after kill -9 it has the same books, and the same persons', async (t) => {
    const before = await system.ledger();
    await system.end('SIGKILL');
    const again = await startSystem(t, system.dataDir);
    t.same(await again.settled(), before);
    const persons = await again.postgres(`
      SELECT d.distinct_id, p.properties FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id
      WHERE length(p.properties::text) < 800000`);
    await again.send(persons.map(({ distinct_id }) => ({ event: 'again', distinct_id })));
    await again.settled();
    const rows = await again.sql(`SELECT distinct_id, person_properties FROM events WHERE event = 'again'`);
    const shown = new Map(
      rows.map((row) => [row['distinct_id'], JSON.parse(String(row['person_properties']))]),
    );
    t.same(shown, new Map(persons.map(({ distinct_id, properties }) => [distinct_id, properties])));
  });
});

const sorted = (counts: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(counts).sort(([a], [b]) => a.localeCompare(b));
