/** `send` against a real console with made-up sources: what it tells, and when it stops waiting. */
import t, { type Test } from 'tap';
import type { HoldReport } from '../../src/actors/hold-report.ts';
import { ConsoleClient } from '../../src/cli/client.ts';
import { type FollowOptions, follow } from '../../src/cli/send-follow.ts';
import {
  holdRecord,
  type Outcome,
  outcomeRecord,
  outcomeText,
  type Step,
} from '../../src/cli/send-outcome.ts';
import { Watch } from '../../src/cli/send-watch.ts';
import type { Paint } from '../../src/cli/terminal.ts';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { startConsole } from '../../src/console/server.ts';
import { asDistinctId, asEventUuid } from '../../src/event/ids.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const UUID = '0195a1b2-0000-7000-8000-000000000001';
const IDENTIFY = { uuid: asEventUuid('0195a1b2-0000-7000-8000-000000000002'), name: '$identify' };
const ALICE = asDistinctId('Alice');
const ROW = { event: 'signed up', distinct_id: 'Alice' };
/** A machine that is busy with other things has the time that it needs. */
const LIMITS = { rowTimeoutMs: 60_000, rowPollMs: 5, heldPollMs: 5 };
/** For what is given up. */
const IMPATIENT = { ...LIMITS, rowTimeoutMs: 1_000 };
const BOOKS = {
  acknowledged: 1,
  waiting: 0,
  held: 1,
  in_flight: 0,
  rows: 0,
  dead_lettered: {},
  dropped: {},
  imbalance: 0,
  spooled: 0,
  door: { refused: {}, dead_lettered: {}, discarded: {} },
};

const byIdentify: HoldReport = { state: 'released', distinctId: ALICE, by: 'person', byEvent: IDENTIFY };
const byTime: HoldReport = { state: 'released', distinctId: ALICE, by: 'time', byEvent: undefined };
const heldFor = (ms: number): HoldReport => ({
  state: 'held',
  distinctId: ALICE,
  untilMs: Date.now() + ms,
  events: 2,
});

interface Told {
  /** The hold's answers, one for each question; the last one stays. */
  readonly holds: readonly (HoldReport | undefined)[];
  /** Whether ClickHouse shows the row, once the last of them has been told. */
  readonly row?: boolean;
}

/** Follows an event whose fate is made up. */
async function followed(t: Test, told: Told, options: Partial<FollowOptions> = {}) {
  let asked = 0;
  let queries = 0;
  const console = await startConsole({
    host: '127.0.0.1',
    port: 0,
    token: undefined,
    roles: [],
    captureUrl: '',
    logger: quietLogger,
    sources: {
      health: () => [],
      ready: async () => [],
      metrics: async () => '',
      books: async () => BOOKS,
      deadLetters: async () => ({ letters: [] }),
      replayDeadLetters: async () => ({ results: [], next: null }),
      held() {
        asked += 1;
        return told.holds[Math.min(asked, told.holds.length) - 1];
      },
      async query(_, sql) {
        queries += 1;
        const isThere = told.row !== false && asked >= told.holds.length && sql.includes('FROM events WHERE');
        return isThere ? `${JSON.stringify(ROW)}\n` : '';
      },
    },
  });
  t.teardown(() => console.close());
  const system = {
    captureUrl: '',
    consoleUrl: `http://127.0.0.1:${console.port}`,
    postgresUrl: undefined,
  };
  const watch = new Watch(new ConsoleClient(system, readConfig({})), UUID);
  await watch.begin();
  const steps: (Step | Outcome)[] = [];
  const sentAtMs = systemClock.monotonic();
  for await (const step of follow({
    watch,
    clock: systemClock,
    sentAtMs,
    wait: true,
    limits: LIMITS,
    ...options,
  })) {
    steps.push(step);
  }
  return { steps, queries, kinds: steps.map(({ kind }) => kind) };
}

const paint: Paint = (_, text) => text;
const textOf = (steps: readonly (Step | Outcome)[]): string =>
  steps.flatMap((step) => outcomeText(step, paint)).join('\n');

t.test('an event that is not held shows its row, and no hold', async (t) => {
  const { steps, kinds } = await followed(t, { holds: [undefined, undefined] });
  t.same(kinds, ['row']);
  t.equal(holdRecord(steps), null);
});

t.test('a held event is told at once, then what released it, then its row', async (t) => {
  const held = heldFor(60_000);
  const { steps, kinds, queries } = await followed(t, {
    holds: [undefined, held, held, held, undefined, held, byIdentify],
  });
  t.same(kinds, ['held', 'released', 'row'], 'each of them once, also when the worker starts anew meanwhile');
  t.ok(queries <= 5, 'the databases are not asked while it is held');
  const text = textOf(steps);
  t.match(text, /^held {10}\d+ ms {2}until \d\d:\d\d:\d\d: nobody knows yet who "Alice" is\n/);
  t.match(text, /An \$identify or alias that names "Alice" lets it go on at once/);
  t.match(text, /BUFFER_CONVERSION_SECONDS=0/);
  t.match(text, /released {6}\d+ ms {2}by "\$identify" \(0195a1b2\S+2\), which gave "Alice" a person\nrow/);
  t.same(holdRecord(steps), {
    distinct_id: 'Alice',
    until: held.state === 'held' && new Date(held.untilMs).toISOString(),
    events: 2,
    released_by: 'person',
    released_by_event: IDENTIFY,
  });
  t.match(steps.map(outcomeRecord), [
    { outcome: 'held', held_ms: Number },
    { outcome: 'released', released_ms: Number },
    { outcome: 'row', row: ROW },
  ]);
});

t.test('a hold longer than the wait for a row is waited for, and the row after it', async (t) => {
  const polls = Math.ceil((IMPATIENT.rowTimeoutMs * 1.2) / IMPATIENT.heldPollMs);
  const holds = [...Array(polls).fill(heldFor(60_000)), byTime];
  const { kinds, steps } = await followed(t, { holds }, { limits: IMPATIENT });
  t.same(kinds, ['held', 'released', 'row']);
  t.ok((steps.at(-1)?.ms ?? 0) > IMPATIENT.rowTimeoutMs);
  t.match(textOf(steps), 'by time: nobody said who "Alice" is');
});

t.test('what is held longer than its time, or has no row after it, is given up', async (t) => {
  const stuck = await followed(t, { holds: [heldFor(50)], row: false }, { limits: IMPATIENT });
  t.same(stuck.kinds, ['held', 'none']);
  t.ok((stuck.steps.at(-1)?.ms ?? 0) >= IMPATIENT.rowTimeoutMs);
  t.match(textOf(stuck.steps), '1 are held');
  const lost = await followed(t, { holds: [heldFor(50), byTime], row: false }, { limits: IMPATIENT });
  t.same(lost.kinds, ['held', 'released', 'none']);
});

t.test('without waiting, a held event is told and left; others show their row', async (t) => {
  const held = await followed(t, { holds: [undefined, heldFor(60_000)] }, { wait: false });
  t.same(held.kinds, ['held']);
  t.match(holdRecord(held.steps), { distinct_id: 'Alice', released_by: null, released_by_event: null });
  const other = await followed(t, { holds: [undefined, undefined] }, { wait: false });
  t.same(other.kinds, ['row']);
});

t.test('a release that was seen without its hold is told as well', async (t) => {
  const early: HoldReport = { state: 'released', distinctId: ALICE, by: 'memory', byEvent: undefined };
  const { steps, kinds } = await followed(t, { holds: [early] });
  t.same(kinds, ['released', 'row']);
  t.match(textOf(steps), 'more memory than HOLD_MB');
  t.match(holdRecord(steps), { distinct_id: 'Alice', until: null, released_by: 'memory' });
});
