/** How far behind the worker says that it is, and when it says that a partition does not move. */
import t from 'tap';
import { type Standing, watchLag } from '../../src/actors/lag-watch.ts';
import { Metrics } from '../../src/metrics.ts';
import { advance } from '../simulation/driver.ts';
import { SimClock } from '../simulation/sim-clock.ts';

const STALLED_AFTER_MS = 60_000;

function watched() {
  const clock = new SimClock(Date.UTC(2026, 0, 1));
  const metrics = new Metrics();
  const standing = {
    partition: 3,
    readPosition: 10,
    recordedAtMs: clock.now(),
    inFlight: 0,
    held: 0,
    finished: 10,
    pausedBy: [] as readonly string[],
  };
  const world = {
    standings: [standing] as Standing[],
    end: 10,
    untaken: [] as number[],
    trouble: undefined as string | undefined,
  };
  let isAway = false;
  const watch = watchLag({
    log: {
      offsets: async () => {
        if (isAway) throw new Error('no broker answers');
        return [{ partition: 3, first: 0, end: world.end }];
      },
    },
    standings: () => world.standings,
    untaken: () => world.untaken,
    holdMs: 30_000,
    trouble: () => world.trouble,
    clock,
    metrics,
    everyMs: 1_000,
    stalledAfterMs: STALLED_AFTER_MS,
  });
  const shown = async (name: string): Promise<string | undefined> =>
    new RegExp(`^${name}{partition="3"} (.*)$`, 'm').exec(await metrics.text())?.[1];
  const away = (is: boolean) => {
    isAway = is;
  };
  return { clock, standing, world, watch, shown, away };
}

void t.test('lag is what was not read yet, in records and in the age of the first of them', async (t) => {
  const { clock, world, watch, shown } = watched();
  await advance(clock, 30_000);
  t.same(
    [await shown('tributary_worker_lag_records'), await shown('tributary_worker_lag_seconds')],
    ['0', '0'],
  );
  world.end = 25;
  await advance(clock, 10_000);
  t.equal(await shown('tributary_worker_lag_records'), '15');
  const seconds = Number(await shown('tributary_worker_lag_seconds'));
  t.ok(seconds >= 9 && seconds <= 11, `${seconds} s, although the last record that was read is older`);
  watch.close();
});

void t.test(
  'a partition with work on which nothing moves for a minute is named, with what holds it',
  async (t) => {
    const { clock, standing, world, watch } = watched();
    world.end = 25;
    await advance(clock, STALLED_AFTER_MS - 2_000);
    t.equal(watch.stalled(), undefined);
    standing.pausedBy = ['person'];
    await advance(clock, 5_000);
    t.match(
      watch.stalled(),
      /partition 3 was finished for .* 15 records behind, 0 in flight, 0 held, paused by the bound of: person/,
    );
    standing.finished += 1;
    await advance(clock, 2_000);
    t.equal(watch.stalled(), undefined, 'it moves again');
    watch.close();
  },
);

void t.test(
  'nothing is stalled that is idle, in known trouble, or without an answer of the log',
  async (t) => {
    for (const prepare of ['idle', 'trouble', 'log away'] as const) {
      const { clock, world, watch, away } = watched();
      if (prepare !== 'idle') world.end = 25;
      if (prepare === 'trouble') world.trouble = 'Postgres does not answer';
      if (prepare === 'log away') away(true);
      await advance(clock, 3 * STALLED_AFTER_MS);
      t.equal(watch.stalled(), undefined, prepare);
      world.trouble = undefined;
      world.end = 25;
      away(false);
      await advance(clock, STALLED_AFTER_MS / 2);
      t.equal(watch.stalled(), undefined, `${prepare}: the minute begins when it is over`);
      await advance(clock, STALLED_AFTER_MS);
      t.match(watch.stalled(), /partition 3/, 'afterwards');
      watch.close();
    }
  },
);

void t.test('a partition that is somebody else’s now is not shown any more', async (t) => {
  const { clock, world, watch, shown } = watched();
  await advance(clock, 2_000);
  t.equal(await shown('tributary_worker_held'), '0');
  world.standings = [];
  await advance(clock, 2_000);
  t.equal(await shown('tributary_worker_held'), undefined);
  watch.close();
});

void t.test('work that is done again and again without an end is no progress', async (t) => {
  const { clock, standing, world, watch } = watched();
  world.end = 25;
  for (let seconds = 0; seconds < 50; seconds += 2) {
    // A recovery begins from what was saved, and reads on.
    standing.finished = seconds % 4 === 0 ? 8 : 10;
    standing.readPosition += 1;
    standing.inFlight = 5;
    await advance(clock, 2_000);
  }
  t.equal(watch.stalled(), undefined);
  await advance(clock, 15_000);
  t.match(watch.stalled(), /partition 3/);
  watch.close();
});

void t.test(
  'a partition that is given and never taken is named; one that only holds has its time',
  async (t) => {
    const { clock, standing, world, watch } = watched();
    world.untaken = [7];
    world.end = 25;
    standing.held = 4;
    await advance(clock, STALLED_AFTER_MS + 3_000);
    t.match(watch.stalled(), /partition 7 was given to this worker .* not taken/);
    world.untaken = [];
    await advance(clock, 2_000);
    t.equal(watch.stalled(), undefined, 'what is held may be all there is for half a minute');
    await advance(clock, 30_000);
    t.match(watch.stalled(), /partition 3/);
    watch.close();
  },
);
