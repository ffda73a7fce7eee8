import t from 'tap';
import { setAsideProgress } from '../../src/storage/postgres/partition-rows.ts';
import { until } from '../support/event-log.ts';
import { type ClientEvent, type Harness, workerHarness } from './worker-harness.ts';

t.setTimeout(600_000);

const EVENTS: readonly ClientEvent[] = ['a', 'b', 'c'].map((distinctId) => ({ event: 'e', distinctId }));

/** What the saved state says of a log that is another one than the log that is there. */
const REPLACED: Readonly<Record<string, string>> = {
  'another uuid': `UPDATE tributary_partition SET landmark = jsonb_set(landmark, '{uuid}', '"other"')`,
  'another time': `UPDATE tributary_partition SET landmark = jsonb_set(landmark, '{recordedAtMs}', '5')`,
  'a later end': 'UPDATE tributary_partition SET read_position = read_position + 100',
};

/** Long enough for what must not happen. */
const A_WHILE_MS = 200;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function rows({ postgres }: Harness): Promise<unknown> {
  return (await postgres.query('SELECT count(*)::int AS persons FROM posthog_person')).rows;
}

for (const [what, statement] of Object.entries(REPLACED)) {
  t.test(`a log made anew under the old identity (${what}) is refused until it is accepted`, async (t) => {
    const harness = await workerHarness(t);
    const first = await harness.start();
    await harness.capture(EVENTS);
    t.match(await harness.settled(3), { rows: 3 });
    await first.close();

    await harness.postgres.query(statement);
    await harness.postgres.query('DELETE FROM posthog_persondistinctid');
    await harness.postgres.query('DELETE FROM posthog_person');
    const second = await harness.startUntaken();
    await until(() => !second.ready().ok);
    t.match(second.ready(), { ok: false, detail: /made again.*accept-new-log/ });
    await pause(A_WHILE_MS);
    t.equal(second.health().ok, true, 'a restart would not mend it');
    t.same(await rows(harness), [{ persons: 0 }], 'nothing was read of it');
    await second.close();

    t.equal(await setAsideProgress(harness.postgres), 2, 'one for each partition');
    const third = await harness.start();
    t.match(await harness.settled(3), { rows: 3, imbalance: 0 });
    t.same(await rows(harness), [{ persons: 3 }]);
    await third.close();
  });
}

t.test('an ordinary restart finds its landmark', async (t) => {
  const harness = await workerHarness(t);
  for (let round = 1; round <= 3; round++) {
    const worker = await harness.start();
    await harness.capture(EVENTS);
    t.match(await harness.settled(3 * round), { rows: 3 * round, imbalance: 0 });
    t.equal(worker.ready().ok, true);
    await worker.close();
  }
});
