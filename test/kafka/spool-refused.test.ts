import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openSpool } from '../../src/capture/spool/open.ts';
import { systemClock } from '../../src/clock.ts';
import { LIMITS } from '../../src/limits.ts';
import { Metrics } from '../../src/metrics.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { makeRecord, Reader, until } from '../support/event-log.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { openLogOn } from '../support/kafka-log.ts';

t.setTimeout(300_000);

t.test('an event that Kafka refuses becomes a dead letter, and those beside it are taken', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-spool-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const log = await openLogOn(t, await kafkaHosts());
  const spool = await openSpool({
    dir,
    bytesMax: 100_000_000,
    log,
    record: async () => {},
    clock: systemClock,
    metrics: new Metrics(),
    logger: quietLogger,
  });
  t.teardown(() => spool.close());
  const uuid = '018f0000-0000-7000-8000-000000000001';
  const value = (n: number) => (n === 3 ? Buffer.alloc(1_200_000, 'x') : Buffer.from(String(n)));
  const records = Array.from({ length: 8 }, (_, n) =>
    makeRecord({ key: 'abc', value: value(n), headers: { uuid, event: 'e', distinct_id: 'ann' } }),
  );
  await spool.log.append(records);
  await until(() => spool.log.mode === 'direct');
  await spool.log.append([makeRecord({ key: 'abc', value: Buffer.from('after') })]);
  t.same(spool.deadLettered(), { refused_by_log: 1 });
  const reader = new Reader('all', [INGESTION_TOPIC, 'events_dead_letter_queue']);
  const subscription = await log.subscribe(reader);
  const valuesOf = (topic: string) => [
    ...new Set(
      reader.records.filter((record) => record.topic === topic).map((record) => String(record.value)),
    ),
  ];
  await until(
    () => valuesOf(INGESTION_TOPIC).includes('after') && valuesOf('events_dead_letter_queue').length > 0,
  );
  await subscription.close();
  t.same(valuesOf(INGESTION_TOPIC), ['0', '1', '2', '4', '5', '6', '7', 'after']);
  const [letter = '{}'] = valuesOf('events_dead_letter_queue');
  t.match(JSON.parse(letter), { event_uuid: uuid, error: 'refused_by_log', tags: ['spool', /larger than/] });
  t.equal(JSON.parse(letter).raw_payload.length, LIMITS.worker.deadLetterPayloadBytesMax);
});
