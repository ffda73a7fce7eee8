/** Dead letters of the worker: what they keep, and what becomes of the records that go back. */
import t from 'tap';
import { captureKey } from '../../src/event/captured.ts';
import { REPLAY_HEADERS, type ReplayMode, revive } from '../../src/event/dead-letter.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { type Harness, type Row, refusing, TOKEN, workerHarness } from './worker-harness.ts';

/** The record that goes back. */
function again(letter: Row | undefined, reason = String(letter?.['error'])): AppendRecord {
  const revival = revive(reason, String(letter?.['raw_payload']), TOKEN);
  if ('impossible' in revival) throw new Error(revival.impossible);
  const { captured, mode, recordedAtMs } = revival;
  return {
    topic: INGESTION_TOPIC,
    key: captureKey(TOKEN, captured.distinct_id),
    value: JSON.stringify(captured),
    headers: { [REPLAY_HEADERS.letter]: String(letter?.['id']), [REPLAY_HEADERS.mode]: mode },
    timestamp: recordedAtMs,
  };
}

const propertiesOf = async ({ postgres }: Harness, id: string): Promise<unknown> => {
  const { rows } = await postgres.query<{ properties: Record<string, unknown> }>(
    `SELECT properties FROM posthog_person WHERE id =
       (SELECT person_id FROM posthog_persondistinctid WHERE distinct_id = $1)`,
    [id],
  );
  const { $creator_event_uuid: _, ...properties } = rows[0]?.properties ?? {};
  return properties;
};

t.test('an event that goes back is no duplicate of itself, and is folded once', async (t) => {
  const harness = await workerHarness(t);
  const refused = await harness.start(refusing);
  await harness.capture(
    [{ event: 'huge', distinctId: 'ann', properties: { $set: { huge: 1, a: 1 } } }],
    5_000,
  );
  t.match(await harness.settled(1), { dead_lettered: { refused_by_postgres: 1 } });
  const [letter] = await harness.read('events_dead_letter_queue');
  await refused.close();

  // In the same session as the second half of a produce request that the log got twice.
  const worker = await harness.start();
  const record = again(letter);
  await harness.log.append([record, record]);
  t.match(await harness.settled(3), { rows: 1, dropped: { duplicate: 1 }, imbalance: 0 });
  t.same(await propertiesOf(harness, 'ann'), { huge: 1, a: 1 });
  const [row] = await harness.read('clickhouse_events_json');
  t.equal(row?.['uuid'], letter?.['event_uuid']);
  t.equal(row?.['_timestampMs'], record.timestamp, 'at its own time');
  await worker.close();
});

t.test('the session that gave an event up takes it back, and drops what a client repeats', async (t) => {
  const harness = await workerHarness(t);
  let isRefusing = true;
  const worker = await harness.start((store) => ({
    ...store,
    save: (partitions, works) => (isRefusing ? refusing(store) : store).save(partitions, works),
  }));
  const event = { event: 'huge', distinctId: 'ann', uuid: '0195a1b2-0000-7000-8000-000000000001' };
  await harness.capture([{ ...event, properties: { $set: { huge: 1 } } }]);
  await harness.settled(1);
  isRefusing = false;
  const [letter] = await harness.read('events_dead_letter_queue');
  await harness.log.append([again(letter)]);
  t.match(await harness.settled(2), { rows: 1, dropped: {}, dead_lettered: { refused_by_postgres: 1 } });
  await harness.capture([event]);
  t.match(await harness.settled(3), { rows: 1, dropped: { duplicate: 1 }, imbalance: 0 });
  await worker.close();
});

t.test('an event whose row was refused gets the row, and changes nobody', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  await harness.capture([
    { event: 'first', distinctId: 'ann', properties: { $set: { plan: 'free' } } },
    { event: 'second', distinctId: 'ann', properties: { $set: { plan: 'pro' } } },
  ]);
  await harness.settled(2);
  const first = (await harness.read('clickhouse_events_json')).find(({ event }) => event === 'first');
  const letter = { id: 'x', raw_payload: JSON.stringify({ ...first, _timestampMs: undefined }) };
  const mode: ReplayMode = 'row';
  const record = again(letter, 'refused_by_clickhouse');
  t.equal(record.headers[REPLAY_HEADERS.mode], mode);
  await harness.log.append([record]);
  t.match(await harness.settled(3), { rows: 3, imbalance: 0 });
  t.same(await propertiesOf(harness, 'ann'), { plan: 'pro' });
  const rows = await harness.read('clickhouse_events_json');
  const firsts = rows.filter(({ event }) => event === first?.['event']);
  t.match(firsts, Array(2).fill({ uuid: first?.['uuid'], person_id: first?.['person_id'] }));
  await worker.close();
});

t.test('a dead letter keeps the whole event unless that would be too large for a message', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start(refusing, {
    limits: { outputBytesMax: 30_000, deadLetterPayloadBytesMax: 1_000 },
  });
  const text = (chars: number) => ({ text: 'ä'.repeat(chars), $set: { huge: 1 } });
  await harness.capture([
    { event: 'large', distinctId: 'ann', properties: text(10_000) },
    { event: 'larger', distinctId: 'ann', properties: text(20_000) },
  ]);
  await harness.settled(2);
  const letters = await harness.read('events_dead_letter_queue');
  const kept = (name: string) => String(letters.find(({ event }) => event === name)?.['raw_payload']);
  t.match(revive('refused_by_postgres', kept('large'), TOKEN), { captured: { event: 'large' } });
  t.match(revive('refused_by_postgres', kept('larger'), TOKEN), { impossible: /first bytes/ });
  t.ok(Buffer.byteLength(kept('larger')) <= 1_000);
  await worker.close();
});
