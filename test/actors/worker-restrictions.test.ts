import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { asDistinctId, type DistinctId } from '../../src/event/ids.ts';
import type { Restriction } from '../../src/event/restriction.ts';
import { LogUnavailableError } from '../../src/storage/event-log.ts';
import { workerHarness } from './worker-harness.ts';

const only = (distinctId: string, ...restrictions: readonly Restriction[]) => ({
  ofAll: new Set<Restriction>(),
  ofIds: new Map([[asDistinctId(distinctId), new Set(restrictions)]]),
});

t.test('what was on the log before its restriction is dropped, with its reason', async (t) => {
  const harness = await workerHarness(t, { restrictions: only('bot', 'drop') });
  const worker = await harness.start();
  await harness.capture([
    { event: 'clicked', distinctId: 'ann' },
    { event: 'clicked', distinctId: 'bot' },
    { event: '$identify', distinctId: 'bot', properties: { $anon_distinct_id: 'ann' } },
  ]);
  t.match(await harness.settled(3), { rows: 1, dropped: { restriction: 2 }, imbalance: 0 });
  const { rows } = await harness.postgres.query('SELECT distinct_id FROM posthog_persondistinctid');
  t.same(rows, [{ distinct_id: 'ann' }]);
  await worker.close();
});

t.test('restricted to no person profile, an event has a row without a person', async (t) => {
  const harness = await workerHarness(t, { restrictions: only('guest', 'no_person_profile', 'overflow') });
  const worker = await harness.start();
  await harness.capture([
    { event: 'clicked', distinctId: 'guest', properties: { $set: { plan: 'free' } } },
    { event: 'clicked', distinctId: 'ann', properties: { $set: { plan: 'free' } } },
    { event: '$identify', distinctId: 'guest', properties: { $anon_distinct_id: 'anon' } },
  ]);
  const reason = 'invalid_event_when_process_person_profile_is_false';
  t.match(await harness.settled(3), { rows: 2, dropped: { [reason]: 1 }, imbalance: 0 });
  const modes = (await harness.read('clickhouse_events_json')).map(({ distinct_id, person_mode }) => [
    distinct_id,
    person_mode,
  ]);
  t.same(modes.toSorted(), [
    ['ann', 'full'],
    ['guest', 'propertyless'],
  ]);
  const { rows } = await harness.postgres.query('SELECT distinct_id FROM posthog_persondistinctid');
  t.same(rows, [{ distinct_id: 'ann' }]);
  await worker.close();
});

t.test(
  'what was folded before its restriction gets its row: no change leaves it without a fate',
  async (t) => {
    const ofIds = new Map<DistinctId, ReadonlySet<Restriction>>();
    const harness = await workerHarness(t, { restrictions: { ofAll: new Set(), ofIds } });
    const append = async (): Promise<never> => {
      throw new LogUnavailableError('not yet');
    };
    const before = await harness.start(undefined, { append });
    await harness.capture([
      { event: '$identify', distinctId: 'bot', properties: { $anon_distinct_id: 'anon' } },
    ]);
    await until(async () => (await harness.postgres.query('SELECT FROM posthog_person')).rowCount === 1);
    await before.close();

    ofIds.set(asDistinctId('bot'), new Set(['drop', 'no_person_profile']));
    const worker = await harness.start();
    await harness.capture([{ event: 'clicked', distinctId: 'bot' }]);
    t.match(await harness.settled(2), { rows: 1, dropped: { restriction: 1 }, imbalance: 0 });
    const [row] = await harness.read('clickhouse_events_json');
    t.match(row, { event: '$identify', distinct_id: 'bot', person_mode: 'full' });
    await worker.close();
  },
);

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20);
}
