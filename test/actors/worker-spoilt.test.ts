/** The saved list of unfinished offsets, changed behind the worker's back: more is replayed, and nothing is skipped. */
import t from 'tap';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { until } from '../support/event-log.ts';
import { type ClientEvent, type Harness, workerHarness } from './worker-harness.ts';

t.setTimeout(600_000);

/** Anonymous events are not held. */
const known: readonly ClientEvent[] = [1, 2, 3].map(() => ({
  event: 'known',
  distinctId: 'ann',
  properties: { $device_id: 'ann' },
}));
const unknown: readonly ClientEvent[] = ['b', 'c'].map((distinctId) => ({ event: 'held', distinctId }));

const SPOILT: Readonly<Record<string, string>> = {
  lost: `'[]'::jsonb`,
  old: `jsonb_build_array(jsonb_build_object('from', first_offset, 'to', first_offset))`,
  'another thing': `'{"from": "x"}'::jsonb`,
  'without an end': `'[{"from": 0, "to": 9007199254740991}]'::jsonb`,
};

const held = async ({ postgres }: Harness): Promise<number> => {
  const { rows } = await postgres.query<{ held: number }>(
    'SELECT coalesce(sum(held), 0)::int AS held FROM tributary_partition',
  );
  return rows[0]?.held ?? 0;
};

for (const [what, list] of Object.entries(SPOILT)) {
  t.test(`a list of unfinished offsets that is ${what} loses no held event`, async (t) => {
    const harness = await workerHarness(t);
    const first = await harness.start(undefined, { holdMs: 60_000 });
    await harness.capture([...unknown, ...known]);
    await until(async () => (await held(harness)) === unknown.length);
    await first.close();
    t.equal(await held(harness), unknown.length);
    await harness.postgres.query(`UPDATE tributary_partition SET unfinished = ${list} WHERE topic = $1`, [
      INGESTION_TOPIC,
    ]);

    const second = await harness.start(undefined, { holdMs: 0 });
    await until(async () => (await held(harness)) === 0);
    t.match(await harness.settled(5), { rows: 5, imbalance: 0, held: 0, in_flight: 0 });
    const rows = await harness.read('clickhouse_events_json');
    t.equal(rows.filter(({ event }) => event === 'held').length, unknown.length, 'each once');
    await second.close();
  });
}
