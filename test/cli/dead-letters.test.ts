/** `dead-letters` and the real system: real causes that come and go, and kill -9 in between. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { readRunning } from '../../src/storage/embedded/data-dir.ts';
import { openPostgres } from '../../src/storage/postgres/pool.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import {
  dataFolder,
  type Exit,
  type Row,
  run,
  startSystem,
  type TestSystem,
  until,
} from '../system/harness.ts';

t.setTimeout(600_000);

const HOUR_MS = 3_600_000;

/** JSON lines that the command prints. */
async function ask(
  dataDir: string,
  ...args: readonly string[]
): Promise<Exit & { readonly lines: readonly Row[] }> {
  const program = ['--import', 'tsx', 'src/cli/dead-letters.ts', ...args];
  const exit = await run(process.execPath, program, { TRIBUTARY_DATA_DIR: dataDir });
  const lines = exit.stdout
    .split('\n')
    .filter(Boolean)
    .map((line): Row => JSON.parse(line));
  return { ...exit, lines };
}

const outcomes = ({ lines }: { readonly lines: readonly Row[] }) => lines.map(({ outcome }) => outcome);

async function urlOf(dataDir: string): Promise<string> {
  const url = (await readRunning(dataDir))?.postgresUrl;
  if (url === undefined) throw new Error('nothing runs');
  return url;
}

/** As the owner of the tables. */
async function postgres(dataDir: string, ...statements: readonly string[]): Promise<void> {
  const database = openPostgres({ url: await urlOf(dataDir), logger: quietLogger });
  for (const statement of statements) await database.query(statement);
  await database.close();
}

/** While nothing runs. */
async function clickhouse(dataDir: string, statement: string): Promise<void> {
  const database = await openClickHouse({ dir: join(dataDir, 'clickhouse') });
  await database.command(statement);
  await database.close();
}

/** Nothing waits, and ClickHouse shows so many dead letters and rows. */
function quiet(
  system: TestSystem,
  expected: { readonly letters: number; readonly rows: number },
): Promise<unknown> {
  let state: unknown;
  return until(
    () => `${JSON.stringify(expected)}, but ${JSON.stringify(state)}`,
    async () => {
      const { waiting, in_flight, held, imbalance, rows } = await system.ledger();
      const [found] = await system.sql(`
        SELECT (SELECT uniqExact(id) FROM events_dead_letter_queue) AS letters, (SELECT uniqExact(uuid) FROM events) AS shown`);
      state = { waiting, in_flight, held, imbalance, rows, found };
      if (waiting + in_flight + held + imbalance !== 0 || rows !== expected.rows) return undefined;
      return found?.['letters'] === expected.letters && found['shown'] === expected.rows ? true : undefined;
    },
  );
}

const reasonsOf = async (system: TestSystem): Promise<unknown> => (await system.ledger()).dead_lettered;

const start = async (t: Test, dataDir: string) => startSystem(t, dataDir);

t.test(
  'what could not be processed goes back once its cause is gone: at its own time, and once',
  async (t) => {
    const dataDir = await dataFolder(t);
    const system = await start(t, dataDir);
    t.match(await ask(dataDir, 'list'), { code: 0, lines: [], stderr: '' });
    await postgres(
      dataDir,
      `ALTER TABLE posthog_person ADD CONSTRAINT no_poison CHECK (NOT properties ? 'poison')`,
    );

    const [poisoned, merge, large] = [randomUUID(), randomUUID(), randomUUID()];
    const hourAgo = new Date(Date.now() - HOUR_MS).toISOString();
    await system.send([
      { event: 'first', distinct_id: 'crowd' },
      { event: 'first', distinct_id: 'boss', properties: { $set: { big: 'x'.repeat(300_000) } } },
    ]);
    await quiet(system, { letters: 0, rows: 2 });
    await postgres(
      dataDir,
      `INSERT INTO posthog_persondistinctid (team_id, person_id, distinct_id, version)
     SELECT p.team_id, p.id, 'crowd ' || n, 0 FROM posthog_person AS p, generate_series(1, ${LIMITS.worker.mergeIdsMax}) AS n
     WHERE NOT p.properties ? 'big'`,
    );
    await system.send([
      {
        uuid: poisoned,
        event: 'poisoned',
        distinct_id: 'bob',
        timestamp: hourAgo,
        properties: { $set: { poison: 1 } },
      },
      { uuid: merge, event: '$identify', distinct_id: 'boss', properties: { $anon_distinct_id: 'crowd' } },
      { uuid: large, event: 'large', distinct_id: 'boss', properties: { text: 'y'.repeat(700_000) } },
    ]);
    await quiet(system, { letters: 3, rows: 2 });
    t.same(await reasonsOf(system), { refused_by_postgres: 1, merge_too_large: 1, row_too_large: 1 });

    t.test('list and show tell what there is, why, and what to do', async (t) => {
      const { lines } = await ask(dataDir, 'list', '--since', '2h');
      t.same(
        lines
          .map(({ reason, event, distinct_id, event_uuid, replay }) => [
            reason,
            event,
            distinct_id,
            event_uuid,
            replay,
          ])
          .toSorted(),
        [
          ['merge_too_large', '$identify', 'boss', merge, null],
          ['refused_by_postgres', 'poisoned', 'bob', poisoned, null],
          ['row_too_large', 'large', 'boss', large, null],
        ],
      );
      const merges = await ask(dataDir, 'list', '--reason', 'merge_too_large', '--limit', '1');
      t.match(merges.lines, [{ event_uuid: merge }]);
      const [letter] = (await ask(dataDir, 'show', poisoned)).lines;
      t.match(letter, {
        event_uuid: poisoned,
        has_row: false,
        impossible: null,
        detail: /no_poison/,
        replay: null,
      });
      t.match(
        (await ask(dataDir, 'show', String(letter?.['id']))).lines,
        [letter],
        'also by the dead letter',
      );
      t.match((await ask(dataDir, 'show', large)).lines, [{ impossible: /first bytes/ }]);
      t.match(await ask(dataDir, 'show', randomUUID()), { code: 1, stderr: /there is no dead letter/ });
      t.match(await ask(dataDir, 'replay'), { code: 1, stderr: /uuids, or --reason R, or --all/ });
    });

    t.test(
      'while the cause is there, an event that goes back is another dead letter, which may go back',
      async (t) => {
        t.match(await ask(dataDir, 'replay', '--all', '--dry-run'), { code: 0 });
        t.equal((await system.ledger()).acknowledged, 5, 'a dry run does nothing');
        const first = await ask(dataDir, 'replay', poisoned);
        t.same([first.code, outcomes(first)], [0, ['replayed']]);
        await quiet(system, { letters: 4, rows: 2 });
        t.match(await reasonsOf(system), { refused_by_postgres: 2 });
        const other = (await ask(dataDir, 'show', poisoned)).lines.find(({ replay }) => replay === null);
        t.not(other?.['id'], first.lines[0]?.['id']);
        t.match(await ask(dataDir, 'replay', String(first.lines[0]?.['id'])), {
          code: 1,
          lines: [{ outcome: 'replayed_already', detail: /events_plugin_ingestion:\d:\d+ now/ }],
        });
      },
    );

    t.test('without the cause each goes back once, whoever asks at the same time', async (t) => {
      await postgres(
        dataDir,
        'ALTER TABLE posthog_person DROP CONSTRAINT no_poison',
        `DELETE FROM posthog_persondistinctid WHERE distinct_id LIKE 'crowd %'`,
      );
      const asked = await Promise.all([1, 2, 3].map(() => ask(dataDir, 'replay', '--all')));
      t.same(
        asked.map(({ code }) => code),
        [0, 0, 0],
      );
      const lines = asked.flatMap((one) => one.lines);
      const replayed = lines.filter(({ outcome }) => outcome === 'replayed');
      t.same(replayed.map(({ event_uuid }) => event_uuid).toSorted(), [poisoned, merge].toSorted());
      t.match(
        lines.filter(({ event_uuid }) => event_uuid === large),
        [
          { outcome: 'impossible', detail: /first bytes/ },
          { outcome: 'impossible' },
          { outcome: 'impossible' },
        ],
      );
      await quiet(system, { letters: 4, rows: 4 });
      t.equal((await system.ledger()).acknowledged, 8, 'five events, and three that went back');
      const again = await ask(dataDir, 'replay', merge, poisoned, large);
      t.equal(again.code, 1);
      t.same(outcomes(again).toSorted(), ['impossible', ...Array(3).fill('replayed_already')]);
      t.equal((await system.ledger()).acknowledged, 8);

      const [row] = await system.sql(`
      SELECT toString(timestamp) AS timestamp, toString(created_at) AS created_at, _timestamp AS taken, person_properties
      FROM events WHERE uuid = '${poisoned}'`);
      const [kept] = await system.sql(`
      SELECT JSONExtractString(raw_payload, 'timestamp') AS timestamp, JSONExtractString(raw_payload, 'now') AS now
      FROM events_dead_letter_queue WHERE event_uuid = '${poisoned}' LIMIT 1`);
      const micros = (text: unknown) => `${String(text).replace('T', ' ').replace('Z', '')}000`;
      t.match(row, {
        timestamp: micros(kept?.['timestamp']),
        created_at: micros(kept?.['now']),
        person_properties: /poison/,
      });
      t.equal(
        Math.floor(Date.parse(hourAgo) / 1000),
        Math.floor(Date.parse(String(kept?.['timestamp'])) / 1000),
      );
      const persons = await system.postgres(
        `SELECT string_agg(distinct_id, ' ' ORDER BY distinct_id) AS ids FROM posthog_persondistinctid GROUP BY person_id ORDER BY 1`,
      );
      t.same(persons, [{ ids: 'bob' }, { ids: 'boss crowd' }], 'the merge was made');
      t.match((await ask(dataDir, 'show', merge)).lines, [{ has_row: true, replay: { partition: Number } }]);
      await system.settled();
    });
  },
);

t.test('a row that ClickHouse refused is made again, and nothing is folded twice', async (t) => {
  const dataDir = await dataFolder(t);
  const before = await start(t, dataDir);
  await before.end('SIGTERM');
  await clickhouse(dataDir, `ALTER TABLE events MODIFY COLUMN created_at DateTime('UTC')`);
  const refusing = await start(t, dataDir);
  const [first, second] = [randomUUID(), randomUUID()];
  await refusing.send([
    { uuid: first, event: 'first', distinct_id: 'ann', properties: { $set: { plan: 'free' } } },
    { uuid: second, event: 'second', distinct_id: 'ann', properties: { $set: { plan: 'pro' } } },
  ]);
  await quiet(refusing, { letters: 2, rows: 0 });
  t.same(await reasonsOf(refusing), { refused_by_clickhouse: 2 });
  await refusing.end('SIGTERM');
  await clickhouse(dataDir, `ALTER TABLE events MODIFY COLUMN created_at DateTime64(6, 'UTC')`);

  const system = await start(t, dataDir);
  const personOf = () => system.postgres('SELECT uuid, properties, version FROM posthog_person');
  const person = await personOf();
  t.match(await ask(dataDir, 'replay', first), { code: 0, lines: [{ outcome: /^replayed$/ }] });
  await quiet(system, { letters: 2, rows: 1 });
  t.same(await personOf(), person, 'the older event did not come after the newer one');
  t.match(await ask(dataDir, 'replay', '--reason', 'refused_by_clickhouse'), {
    code: 0,
    lines: [{ event_uuid: second, outcome: /^replayed$/ }],
  });
  await quiet(system, { letters: 2, rows: 2 });
  t.match(await system.settled(), { rows: 2, acknowledged: 4, dead_lettered: { refused_by_clickhouse: 2 } });
  const rows = await system.sql('SELECT event, toString(person_id) AS person FROM events ORDER BY event');
  t.same(rows, [
    { event: 'first', person: person[0]?.['uuid'] },
    { event: 'second', person: person[0]?.['uuid'] },
  ]);
});

t.test(
  'a kill between the note and the log leaves it at most once, and shows that nobody knows',
  async (t) => {
    const dataDir = await dataFolder(t);
    let system = await start(t, dataDir);
    const refuse = `ALTER TABLE posthog_person ADD CONSTRAINT no_poison CHECK (NOT properties ? 'poison')`;
    const sleeping = (when: string, timing: string, seconds: number) => [
      `CREATE OR REPLACE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(${seconds}); RETURN NEW; END'`,
      `CREATE CONSTRAINT TRIGGER wait AFTER ${when} ON tributary_replayed ${timing} FOR EACH ROW EXECUTE FUNCTION wait()`,
    ];
    const [unsent, sent] = [randomUUID(), randomUUID()];
    await postgres(dataDir, refuse);
    await system.send([
      { uuid: unsent, event: 'unsent', distinct_id: 'ann', properties: { $set: { poison: 1 } } },
      { uuid: sent, event: 'sent', distinct_id: 'bob', properties: { $set: { poison: 1 } } },
    ]);
    await quiet(system, { letters: 2, rows: 0 });
    await postgres(dataDir, 'ALTER TABLE posthog_person DROP CONSTRAINT no_poison');

    // The note is committed after four seconds; by then its process is gone, and nothing was appended.
    await postgres(dataDir, ...sleeping('INSERT', 'DEFERRABLE INITIALLY DEFERRED', 4));
    const database = openPostgres({ url: await urlOf(dataDir), logger: quietLogger });
    const waiting = ask(dataDir, 'replay', unsent);
    await until('the note is being committed', async () => {
      const { rows } = await database.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%INSERT INTO tributary_replayed%' AND wait_event = 'PgSleep'`,
      );
      return rows[0]?.n === 1 ? true : undefined;
    });
    await system.end('SIGKILL');
    t.equal((await waiting).code, 1);
    await until('Postgres has committed the note', async () => {
      const { rowCount } = await database.query('SELECT FROM tributary_replayed');
      return rowCount === 1 ? true : undefined;
    });
    await database.close();

    // The event is appended, and its process dies before it can say so: Postgres would take longer than it may.
    system = await start(t, dataDir);
    await postgres(
      dataDir,
      'DROP TRIGGER wait ON tributary_replayed',
      ...sleeping('UPDATE', 'NOT DEFERRABLE', 60),
    );
    const acknowledged = (await system.ledger()).acknowledged;
    const dying = ask(dataDir, 'replay', sent);
    await until('the event is in the log', async () =>
      (await system.ledger()).acknowledged > acknowledged ? true : undefined,
    );
    await system.end('SIGKILL');
    t.equal((await dying).code, 1);

    system = await start(t, dataDir);
    await quiet(system, { letters: 2, rows: 1 });
    const nowhere = { replay: { partition: null, offset: null } };
    t.match((await ask(dataDir, 'show', unsent)).lines, [{ ...nowhere, has_row: false }]);
    t.match(
      (await ask(dataDir, 'show', sent)).lines,
      [{ ...nowhere, has_row: true }],
      'its row tells that it went back',
    );
    t.match(await ask(dataDir, 'replay', '--all'), { code: 0, lines: [] });
    const again = await ask(dataDir, 'replay', unsent, sent);
    t.same(outcomes(again), ['replayed_already', 'replayed_already']);
    t.match(again, { code: 1, lines: [{ detail: /not known/ }, { detail: /not known/ }] });
    t.match(await system.settled(), { acknowledged: 3, rows: 1, dead_lettered: { refused_by_postgres: 2 } });
  },
);
