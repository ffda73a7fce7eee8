import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Position } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { startKafka } from '../../tools/kafka/broker.ts';
import { newRunFolder, removeFolder } from '../../tools/kafka/folder.ts';
import { makeRecord, Reader, until } from '../support/event-log.ts';
import { openLogOn } from '../support/kafka-log.ts';

const KEYS = ['abc', 'foobar', '21', 'lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8'];
const APPEND_EVERY_MS = 5;
const AWAY_MS = 3_000;
/** The limits are far below it; a machine that is busy with other things has time to keep them. */
const BOUND_MS = 15_000;

t.setTimeout(600_000);

const dir = await newRunFolder();
const broker = await startKafka({ dir });
t.teardown(async () => {
  await broker.kill();
  await removeFolder(dir);
});

void t.test('a broker that is killed under appends and comes back loses nothing acknowledged', async (t) => {
  const log = await openLogOn(t, broker.hosts, { limits: { appendTimeoutMs: 2_000 } });
  const reader = new Reader('outage', [INGESTION_TOPIC]);
  const subscription = await log.subscribe(reader);
  await until(() => reader.held.size === 4);

  const acknowledged: { key: string; sequence: number; position: Position }[] = [];
  const failures: string[] = [];
  let sequence = 0;
  let isOver = false;
  const appends: Promise<void>[] = [];
  const appending = (async () => {
    while (!isOver) {
      for (const key of KEYS) {
        const number = sequence++;
        const append = log
          .append([makeRecord({ key, value: String(number) })])
          .then(([position]) => {
            if (position) acknowledged.push({ key, sequence: number, position });
          })
          .catch((error: Error) => void failures.push(error.name));
        appends.push(append);
      }
      await delay(APPEND_EVERY_MS);
    }
  })();

  await delay(1_000);
  await until(() => acknowledged.length > 0);
  await broker.kill();
  await until(() => log.trouble() !== undefined);
  await delay(AWAY_MS);
  await broker.start();
  const restartedAt = performance.now();
  await until(() => log.trouble() === undefined);
  const count = acknowledged.length;
  await until(() => acknowledged.length > count + 100);
  t.comment(`appends work again ${Math.round(performance.now() - restartedAt)} ms after the start`);
  isOver = true;
  await appending;
  await Promise.all(appends);

  t.ok(failures.length > 0, 'the door was told');
  t.ok(failures.every((name) => name === 'LogUnavailableError'));
  const lastOf = (key: string) => acknowledged.findLast((each) => each.key === key)?.sequence ?? -1;
  const hasAll = () =>
    KEYS.every((key) =>
      reader.records.some((record) => record.key === key && Number(record.value.toString()) >= lastOf(key)),
    );
  await until(hasAll);
  t.comment(`read again ${Math.round(performance.now() - restartedAt)} ms after the start`);
  const seen = new Map<string, string>();
  for (const { partition, offset, value } of reader.records) {
    seen.set(`${partition} ${offset}`, Buffer.from(value).toString());
  }
  let wrong = 0;
  for (const { position, sequence } of acknowledged) {
    if (seen.get(`${position.partition} ${position.offset}`) !== String(sequence)) wrong++;
  }
  t.equal(wrong, 0, `${acknowledged.length} acknowledged records are where append said`);
  for (const key of KEYS) {
    const sequences = acknowledged.filter((each) => each.key === key);
    const byOffset = sequences.toSorted((a, b) => a.position.offset - b.position.offset);
    t.same(
      byOffset.map((each) => each.sequence),
      sequences.map((each) => each.sequence).toSorted((a, b) => a - b),
      'in the order in which they were given',
    );
  }
  t.same(reader.errors, []);
  await subscription.close();
});

void t.test('while no broker answers everything ends in bounded time', async (t) => {
  const log = await openLogOn(t, broker.hosts, {
    limits: { appendTimeoutMs: 1_500, queueBytesMax: 100_000 },
  });
  const reader = new Reader('away', [INGESTION_TOPIC]);
  const subscription = await log.subscribe(reader);
  await until(() => reader.held.size === 4);
  await broker.kill();
  const value = Buffer.alloc(1_000);
  const startedAt = performance.now();
  const results = await Promise.allSettled(
    Array.from({ length: 200 }, () => log.append([makeRecord({ value })])),
  );
  t.ok(performance.now() - startedAt < BOUND_MS);
  const names = new Set(
    results.map((result) => (result.status === 'rejected' ? result.reason.name : 'none')),
  );
  t.same([...names].toSorted(), ['LogFullError', 'LogUnavailableError']);
  await t.rejects(log.offsets(INGESTION_TOPIC), { name: 'LogUnavailableError' });
  const closedAt = performance.now();
  await subscription.close();
  t.ok(performance.now() - closedAt < BOUND_MS, `${performance.now() - closedAt} ms`);
  t.equal(reader.held.size, 0);
  await log.close();
  await broker.start();
});
