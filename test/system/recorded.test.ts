/** What current SDKs really send, byte for byte, and what becomes of every event in it. */
import { readFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { dataFolder, ROOT, type Row, startSystem } from './harness.ts';
import { EVENT_PATHS, eventsOf, pathOf, type Recorded, type SentEvent } from './recorded-events.ts';

const REQUESTS = readFileSync(join(ROOT, 'test/fixtures/recorded-requests.jsonl'), 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line): Recorded => JSON.parse(line));

const kindOf = (recorded: Recorded): string => `${recorded.method} ${pathOf(recorded)}`;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** With exactly the recorded headers; Node adds `host` and `content-length`. */
function replay(captureUrl: string, { method, url, headers, body }: Recorded): Promise<Answer> {
  const bytes = Buffer.from(body, 'base64');
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(url, captureUrl), { method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    outgoing.on('error', reject);
    if (bytes.length > 0) outgoing.setHeader('content-length', bytes.length);
    outgoing.end(bytes);
  });
}

const distinctIdOf = ({ distinct_id, properties }: SentEvent): unknown =>
  distinct_id ?? properties['distinct_id'];

type Ending = 'row' | 'cookieless_not_supported' | 'client_ingestion_warning' | 'duplicate';

function endingOf(event: SentEvent, isRepeat: boolean): Ending {
  if (event.event === '$$client_ingestion_warning') return 'client_ingestion_warning';
  if (event.properties['$cookieless_mode'] === true) return 'cookieless_not_supported';
  return isRepeat ? 'duplicate' : 'row';
}

/** Properties that do not go to the row as they are. */
const MOVED = new Set([
  '$process_person_profile',
  '$elements',
  '$elements_chain',
  '$set',
  '$set_once',
  '$unset',
]);

t.test('every recorded request is answered, and every event in it is one row on its person', async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  const endings = new Map<Ending, number>();
  const rows = new Map<string, { readonly event: SentEvent; readonly request: number }>();

  for (const [index, recorded] of REQUESTS.entries()) {
    const kind = kindOf(recorded);
    const which = `request ${index}, ${kind} of ${recorded.sdk}`;
    const answer = await replay(system.captureUrl, recorded);
    t.equal(answer.status, 200, `${which} is answered`);
    const { origin } = recorded.headers;
    if (origin !== undefined)
      t.equal(answer.headers['access-control-allow-origin'], origin, `${which} may be read`);
    if (recorded.method === 'OPTIONS') {
      const asked = recorded.headers['access-control-request-headers'];
      t.equal(answer.headers['access-control-allow-headers'], asked, `${which} may send its headers`);
      continue;
    }
    const path = EVENT_PATHS[pathOf(recorded)];
    if (path === undefined) continue;
    const events = eventsOf(recorded, path);
    t.same(JSON.parse(answer.text), path.answer(events), which);
    for (const event of events) {
      const ending = endingOf(event, rows.has(event.uuid));
      endings.set(ending, (endings.get(ending) ?? 0) + 1);
      if (ending === 'row') rows.set(event.uuid, { event, request: index });
    }
  }
  const books = await system.settled();
  const { row: rowCount = 0, ...dropped } = Object.fromEntries(endings);
  t.comment(JSON.stringify(Object.fromEntries(endings)));
  t.equal(rowCount, rows.size);
  t.same([books.rows, books.dropped, books.dead_lettered], [rowCount, dropped, {}], 'as the books say');

  const persons = new Map(
    (
      await system.postgres(
        'SELECT d.distinct_id, p.uuid FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id',
      )
    ).map(({ distinct_id, uuid }) => [distinct_id, uuid]),
  );
  const found = await system.sql(`
    SELECT toString(uuid) AS uuid, event, distinct_id, properties, toString(person_id) AS person, person_mode,
      toUnixTimestamp64Milli(timestamp) AS ms, count() OVER (PARTITION BY uuid) AS copies
    FROM events`);
  t.equal(found.length, rows.size, 'there is no other row');
  const shifts = new Map<number, number[]>();
  for (const row of found) {
    const sent = rows.get(String(row['uuid']));
    if (!t.ok(sent, `${row['uuid']} was sent`) || !sent) continue;
    const { event, request: index } = sent;
    const name = `${event.event} ${event.uuid} of request ${index}`;
    t.same([row['event'], row['distinct_id'], row['copies']], [event.event, distinctIdOf(event), 1], name);
    const properties: Row = JSON.parse(String(row['properties']));
    const missing = Object.entries(event.properties).filter(
      ([key, value]) => !MOVED.has(key) && !isDeepStrictEqual(properties[key], value),
    );
    t.same(missing, [], `${name} has all its properties`);
    const wantsProfile = event.properties['$process_person_profile'] !== false;
    t.equal(row['person_mode'], wantsProfile ? 'full' : 'propertyless', `${name} in its mode`);
    if (wantsProfile) t.equal(row['person'], persons.get(distinctIdOf(event)), `${name} on its person`);
    shifts.set(index, [...(shifts.get(index) ?? []), Number(row['ms']) - Date.parse(event.timestamp)]);
  }
  for (const [index, own] of shifts) {
    t.ok(
      Math.max(...own) - Math.min(...own) <= 1,
      `the events of request ${index} keep their distances in time`,
    );
  }
});
