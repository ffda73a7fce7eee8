/** Reading and putting back, on the real ClickHouse and the real Postgres, with a log that fails as it is told to. */
import t, { type Test } from 'tap';
import { DeadLetters } from '../../src/console/dead-letters.ts';
import { answerDeadLetters, answerReplay, type ReplayRequest } from '../../src/console/dead-letters-route.ts';
import { letterPayload } from '../../src/event/dead-letter.ts';
import { asDistinctId, asEventUuid, asTeamId } from '../../src/event/ids.ts';
import type { DeadLetterReason } from '../../src/event/outcome.ts';
import { deadLetterRow } from '../../src/event/rows.ts';
import { deriveRecordUuid } from '../../src/ids.ts';
import { LIMITS } from '../../src/limits.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import {
  type AppendRecord,
  LogFullError,
  LogUnavailableError,
  type Position,
} from '../../src/storage/event-log.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { withPostgres } from '../support/postgres.ts';

const { replayMax } = LIMITS.deadLetters;
const AT_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const TEAM = asTeamId(7);
/** Seconds: the table forgets what is older than four weeks. */
const TAKEN_AT = Math.floor(Date.now() / 1000);

const clickhouse = await openClickHouse({ dir: t.testdir() });
await migrateClickHouse(clickhouse, quietLogger, undefined);
t.teardown(() => clickhouse.close());

const uuidOf = (n: number): string => `0195a1b2-0000-7000-8000-${String(n).padStart(12, '0')}`;

interface Given {
  readonly n: number;
  readonly reason?: DeadLetterReason;
  readonly teamId?: number;
  readonly payload?: string;
  /** When it was given up. The last one of the log was the first, unless it is said. */
  readonly atMs?: number;
}

/** A dead letter of record n of partition n % 3. */
function letter({
  n,
  reason = 'stage_failed',
  teamId = TEAM,
  payload,
  atMs = AT_MS - n * 1_000,
}: Given): Uint8Array {
  const at = { partition: n % 3, offset: n };
  const event = {
    uuid: asEventUuid(uuidOf(n)),
    teamId: TEAM,
    distinctId: asDistinctId(`id ${n}`),
    name: `event ${n}`,
    properties: { n },
    timestampMs: AT_MS + n,
    capturedAtMs: AT_MS + n,
    historicalMigration: n % 2 === 0,
    warnings: [],
  };
  const row = deadLetterRow({
    id: deriveRecordUuid(INGESTION_TOPIC, at.partition, at.offset),
    reason,
    stage: 'test',
    detail: "it's a test",
    source: `${INGESTION_TOPIC}:${at.partition}:${at.offset}`,
    eventUuid: event.uuid,
    eventName: event.name,
    distinctId: event.distinctId,
    teamId,
    rawPayload: payload ?? letterPayload(event, AT_MS + n),
    atMs,
  });
  return Buffer.from(`${row.slice(0, -1)},"_timestamp":${TAKEN_AT},"_offset":${n}}`);
}

class TestLog {
  readonly records: AppendRecord[] = [];
  failure: Error | undefined;
  onAppend: (() => Promise<void>) | undefined;
  trouble: string | undefined;

  async append(records: readonly AppendRecord[]): Promise<readonly Position[]> {
    if (this.failure !== undefined) throw this.failure;
    await this.onAppend?.();
    return records.map((record) => ({ partition: 0, offset: this.records.push(record) - 1 }));
  }
}

async function world(t: Test, given: readonly Given[]) {
  await clickhouse.command('TRUNCATE TABLE events_dead_letter_queue');
  await clickhouse.insert('events_dead_letter_queue', given.map(letter));
  const { postgres } = await withPostgres(t);
  await postgres.query(
    `INSERT INTO posthog_team (id, uuid, project_id, name, api_token, anonymize_ips, created_at, updated_at)
     VALUES ($1::int, gen_random_uuid(), $1::int, 'test', 'phc_test', false, now(), now())`,
    [TEAM],
  );
  const letters = new DeadLetters(clickhouse, postgres);
  const log = new TestLog();
  const replayer = { log: { append: log.append.bind(log), trouble: () => log.trouble }, postgres };
  const post = (body: string) => answerReplay(letters, replayer, body, Date.now());
  const replay = (request: ReplayRequest) => post(JSON.stringify({ dry_run: false, ...request }));
  return { postgres, letters, log, post, replay };
}

const numbers = (count: number): readonly Given[] => Array.from({ length: count }, (_, n) => ({ n }));
const counted = (results: readonly { readonly outcome: string }[]) =>
  Object.fromEntries(
    [...new Set(results.map(({ outcome }) => outcome))].map((outcome) => [
      outcome,
      results.filter((result) => result.outcome === outcome).length,
    ]),
  );
const notes = async (postgres: Postgres): Promise<number> =>
  (await postgres.query('SELECT FROM tributary_replayed')).rowCount;

t.test('all go back in the order of the log, page by page, as capture wrote them', async (t) => {
  const count = 2 * replayMax + 1;
  const { replay, log } = await world(t, numbers(count));
  let pages = 0;
  for (let after: string | null = ''; after !== null; pages += 1) {
    const answer = await replay(after === '' ? {} : { after });
    t.same(counted(answer.results), { replayed: answer.results.length });
    after = answer.next;
  }
  t.equal(pages, 3);
  t.equal(log.records.length, count);
  const order = log.records.map(({ timestamp }) => timestamp - AT_MS);
  t.same(
    order,
    order.toSorted((a, b) => (a % 3) - (b % 3) || a - b),
  );
  t.match(log.records[0], {
    key: 'phc_test:id 0',
    timestamp: AT_MS,
    headers: { uuid: uuidOf(0), token: 'phc_test', historical_migration: 'true', replay: 'fold' },
  });
  t.match(JSON.parse(String(log.records[0]?.value)), {
    token: 'phc_test',
    now: new Date(AT_MS).toISOString(),
  });
});

t.test('an event whose cause is still there does not go back again and again', async (t) => {
  const { replay, log } = await world(t, numbers(replayMax));
  log.onAppend = async () => {
    const again = numbers(2 * replayMax).map(({ n }) => ({ n: 1_000 + n, atMs: Date.now() + 1 }));
    await clickhouse.insert('events_dead_letter_queue', again.map(letter));
  };
  const first = await replay({});
  t.equal(first.results.length, replayMax);
  t.match(await replay({ after: String(first.next) }), { results: [], next: null });
  t.ok(
    (await replay({})).results.some(({ outcome }) => outcome === 'replayed'),
    'but when asked anew',
  );
});

t.test('many who ask at the same time put each back once', async (t) => {
  const { replay, log, postgres } = await world(t, numbers(20));
  const answers = await Promise.all(Array.from({ length: 8 }, () => replay({})));
  const results = answers.flatMap((answer) => answer.results);
  t.same(counted(results), { replayed: 20, replayed_already: 140 });
  t.equal(new Set(log.records.map(({ headers }) => headers['dead_letter'])).size, 20);
  t.equal(await notes(postgres), 20);
  t.same(counted((await replay({ uuids: [uuidOf(3)] })).results), { replayed_already: 1 });
});

t.test('two dead letters of one record are one event', async (t) => {
  const { replay, log } = await world(t, []);
  const row = {
    ...JSON.parse(String(letter({ n: 1, reason: 'refused_by_clickhouse' }))),
    raw_payload: JSON.stringify({
      uuid: uuidOf(1),
      event: 'event 1',
      distinct_id: 'id 1',
      properties: '{"a":1}',
      elements_chain: '',
      timestamp: '2026-01-02 03:04:05.000000',
      created_at: '2026-01-02 03:04:06.000000',
    }),
  };
  const copies = [4, 9].map((offset) => ({
    ...row,
    id: deriveRecordUuid('clickhouse_events_json', 0, offset),
    tags: [`clickhouse_events_json:0:${offset}`, 'refused', `${INGESTION_TOPIC}:1:1`],
  }));
  await clickhouse.insert(
    'events_dead_letter_queue',
    copies.map((copy) => Buffer.from(JSON.stringify(copy))),
  );
  t.same(counted((await replay({})).results), { replayed: 1, replayed_already: 1 });
  t.match(log.records, [{ headers: { replay: 'row' }, timestamp: AT_MS + 1_000 }]);
});

t.test(
  'a log that is full leaves no note; one that does not answer leaves it unknown, for good',
  async (t) => {
    const { replay, letters, log, postgres } = await world(t, numbers(3));
    log.trouble = 'away';
    t.same(counted((await replay({})).results), { not_now: 3 });
    log.trouble = undefined;
    log.failure = new LogFullError('full');
    t.match((await replay({})).results, Array(3).fill({ outcome: 'not_now', detail: 'full', replay: null }));
    t.equal(await notes(postgres), 0);
    log.failure = new LogUnavailableError('no answer');
    t.match((await replay({ uuids: [uuidOf(0)] })).results, [{ outcome: 'unknown', detail: 'no answer' }]);
    log.failure = undefined;
    t.same(counted((await replay({})).results), { replayed_already: 1, replayed: 2 });
    t.equal(log.records.length, 2);
    t.match(await letters.show(uuidOf(0)), [{ replay: { partition: null, offset: null }, has_row: false }]);
    t.match(await letters.show(uuidOf(1)), [{ replay: { partition: 0, offset: 0 } }]);
  },
);

t.test('what cannot go back says why, and the others go', async (t) => {
  const { replay } = await world(t, [
    { n: 1, payload: '{"uuid":"' },
    { n: 2, reason: 'malformed_record', payload: 'base64:AAAA' },
    { n: 3, teamId: 99 },
    { n: 4, reason: 'row_too_large' },
    { n: 5 },
    {
      n: 6,
      payload: `{"uuid":"${uuidOf(6)}","event":"","distinct_id":"a","properties":{},"timestamp":"2026-01-01","now":"2026-01-01"}`,
    },
    { n: 7 },
  ]);
  const shown = {
    uuid: uuidOf(7),
    event: 'event 7',
    distinct_id: 'id 7',
    properties: '{}',
    timestamp: '2026-01-02 03:04:05.007000',
    team_id: TEAM,
    elements_chain: '',
    created_at: '2026-01-02 03:04:05.007000',
    person_id: uuidOf(100),
    person_created_at: '2026-01-02 03:04:05',
    person_properties: '{}',
    person_mode: 'full',
    historical_migration: false,
    _timestamp: 1,
    _offset: 1,
  };
  await clickhouse.insert('events', [Buffer.from(JSON.stringify(shown))]);
  const { results } = await replay({ dry_run: true });
  const byNumber = Object.fromEntries(
    results.map(({ event_uuid, outcome, detail }) => [Number(event_uuid.slice(-4)), `${outcome}: ${detail}`]),
  );
  t.match(byNumber, {
    1: /impossible: too large: only its first bytes/,
    2: /impossible: its record is no event/,
    3: /impossible: project 99 is gone/,
    4: /impossible: only the first bytes of its row/,
    5: /^ready: $/,
    6: /impossible: event is missing/,
    7: /has_row: /,
  });
  t.same(counted((await replay({})).results), { impossible: 5, replayed: 1, has_row: 1 });
});

t.test('the list has the newest first, with counts; what is asked wrongly is told', async (t) => {
  const { letters, post, replay } = await world(t, [
    { n: 1 },
    { n: 2, reason: 'malformed_record' },
    { n: 3 },
  ]);
  const ask = (query: string) => answerDeadLetters(letters, new URLSearchParams(query));
  await replay({ uuids: [uuidOf(3)] });
  t.match(await ask(''), {
    counts: { stage_failed: 2, malformed_record: 1 },
    letters: [
      {
        event: 'event 1',
        at: '2026-01-02 03:04:04.000000',
        source: `${INGESTION_TOPIC}:1:1`,
        detail: "it's a test",
        replay: null,
      },
      { event: 'event 2' },
      { event: 'event 3', replay: { partition: 0, offset: 0 } },
    ],
  });
  t.match(await ask('reason=malformed_record&limit=1'), { counts: { malformed_record: 1 }, letters: [{}] });
  const since = await ask('since=2026-01-02T03:04:03Z');
  t.same(
    [since.letters.length, 'counts' in since && since.counts],
    [2, { stage_failed: 1, malformed_record: 1 }],
  );
  for (const query of [
    'reason=x',
    "reason=stage_failed'",
    'limit=0',
    'limit=a',
    'since=x',
    'uuid=x',
    "uuid='",
  ]) {
    await t.rejects(ask(query), { name: 'BadRequestError' }, query);
  }
  for (const body of [
    '',
    '[]',
    '{"uuids":[]}',
    '{"uuids":["x"]}',
    '{"reason":1}',
    '{"after":"1:2:x\'"}',
    '{"since":{}}',
  ]) {
    await t.rejects(post(body), { name: 'BadRequestError' }, body);
  }
});
