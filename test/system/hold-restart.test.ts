/** Held events and the end of their process: they are held again, and go on when they would have without it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { dataFolder, type Row, startSystem, type TestSystem, until } from './harness.ts';

t.setTimeout(600_000);
// They mostly wait.
t.jobs = 2;

/** Longer than a restart takes, so that there is time for an identify after it. */
const HOLD_SECONDS = 30;
const HOLD_MS = HOLD_SECONDS * 1_000;
const SETTINGS = { BUFFER_CONVERSION_SECONDS: String(HOLD_SECONDS) };
const LOOK_EVERY_MS = 100;

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(
    `${signal}: held events go on with the identify that comes later, or when their time has come`,
    async (t) => {
      const dataDir = await dataFolder(t);
      const first = await startSystem(t, dataDir, SETTINGS);
      await first.send([event('pageview', 'anon-1', { $device_id: 'anon-1' })]);
      await first.settled();
      const signup = event('signup', 'Alice');
      const alone = event('signup', 'Bob');
      const before = watchBooks(first);
      await first.send([signup, event('purchase', 'Alice'), alone]);
      await until('three events are held', async () => (await first.ledger()).held === 3 || undefined);
      t.same(await before.stop(), [], 'the books balance at every look');
      await first.end(signal);

      const second = await startSystem(t, dataDir, SETTINGS);
      const readyAtMs = Date.now();
      const after = watchBooks(second);
      t.match(
        await second.ledger(),
        { held: 3, rows: 1, imbalance: 0 },
        'they are counted as held all the time',
      );

      const identify = event('$identify', 'Alice', { $anon_distinct_id: 'anon-1' });
      await second.send([identify]);
      const rows = await until('Alice has her rows', async () => {
        const found = await rowsOf(second, 'anon-1', 'Alice');
        return found.length === 4 ? found : undefined;
      });
      const [{ person } = {}] = rows;
      t.same(
        rows.map((row) => row['person']),
        Array(4).fill(person),
        'the identify takes them to the person of anon-1',
      );
      t.ok(
        rows.every((row) => lateMs(row) < 0),
        'before their time',
      );
      t.match(await heldState(second, signup.uuid), { by: 'person', by_event: { uuid: identify.uuid } });

      const row = await until(
        "Bob's time has come",
        async () => (await rowsOf(second, 'Bob'))[0],
        3 * HOLD_MS,
      );
      t.match(await heldState(second, alone.uuid), { by: 'time' });
      const onceReadyMs = readyAtMs + HOLD_MS - Number(row['inserted_ms']);
      t.comment(
        `ready after ${Math.round(second.readyMs)} ms; ${lateMs(row)} ms late; ${onceReadyMs} ms to spare`,
      );
      t.ok(lateMs(row) >= 0, 'not before its time');
      t.ok(onceReadyMs > 1_000, 'the time counts from the record, not from the restart');
      t.match(await second.settled(), { acknowledged: 5, rows: 5 });
      t.same(await after.stop(), [], 'the books balance at every look');
    },
  );
}

function event(name: string, distinct_id: string, properties: Row = {}) {
  return { uuid: randomUUID(), event: name, distinct_id, properties };
}

/** With when they were captured and when they got into ClickHouse, in milliseconds since the epoch. */
function rowsOf(system: TestSystem, ...distinctIds: string[]): Promise<Row[]> {
  return system.sql(`
    SELECT event, toString(person_id) AS person, toUnixTimestamp64Milli(created_at) AS captured_ms,
      toUnixTimestamp64Milli(assumeNotNull(inserted_at)) AS inserted_ms
    FROM events WHERE distinct_id IN ('${distinctIds.join("', '")}')`);
}

/** After the moment at which a held event has to go. */
const lateMs = (row: Row): number => Number(row['inserted_ms']) - Number(row['captured_ms']) - HOLD_MS;

async function heldState(system: TestSystem, uuid: string): Promise<Row> {
  const answer = await fetch(`${system.consoleUrl}/_held?event=${uuid}`);
  return JSON.parse(await answer.text());
}

/** Looks at the books all the time; `stop` resolves with those that did not balance. */
function watchBooks(system: TestSystem): { stop(): Promise<readonly unknown[]> } {
  const wrong: unknown[] = [];
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      const books = await system.ledger();
      const { acknowledged, waiting, held, in_flight, rows, imbalance } = books;
      const ends = [books.dead_lettered, books.dropped].flatMap((counts) => Object.values(counts));
      const accounted = ends.reduce((sum, count) => sum + count, waiting + held + in_flight + rows);
      if (imbalance !== 0 || accounted !== acknowledged) wrong.push(books);
      await sleep(LOOK_EVERY_MS);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await watching;
      return wrong;
    },
  };
}
