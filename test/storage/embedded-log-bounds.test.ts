import fc from 'fast-check';
import t from 'tap';
import type { EventLog } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC, type Topic } from '../../src/storage/topics.ts';
import { heardLogger } from '../../tools/suite-logs.ts';
import { ManualClock, makeFolder, openLog } from '../support/embedded-log.ts';
import { makeRecord, Reader, until } from '../support/event-log.ts';

const OUTPUT_TOPIC: Topic = 'clickhouse_events_json';
const MIB = 1024 * 1024;
const EVERY_MS = 1_000;

void t.test('at its bound the log refuses events, goes on draining, and takes events again', async (t) => {
  const dir = await makeFolder(t);
  const clock = new ManualClock();
  const limits = {
    bytesMax: MIB,
    drainBytesMax: 1.25 * MIB,
    retainedBytesMax: 0,
    retentionEveryMs: EVERY_MS,
  };
  const log = await openLog(t, { dir, clock, limits });
  const event = makeRecord({ value: Buffer.alloc(10_000) });
  const output = { ...event, topic: OUTPUT_TOPIC };

  await t.rejects(appendForever(log, event), { name: 'LogFullError' });
  t.ok(Math.abs(log.usedBytes() - MIB) < 20_000, `within a record: ${log.usedBytes()} bytes`);
  const before = await log.offsets(INGESTION_TOPIC);
  await t.rejects(log.append([output, event, output]), { name: 'LogFullError' });
  t.same(await log.offsets(INGESTION_TOPIC), before);
  t.same(await ends(log, OUTPUT_TOPIC), [0, 0], 'nothing of a refused append is written');

  await log.append([output]);
  await t.rejects(appendForever(log, output), { name: 'LogFullError' });
  t.ok(Math.abs(log.usedBytes() - 1.25 * MIB) < 20_000);

  const used = log.usedBytes();
  await log.close();
  const reopened = await openLog(t, { dir, clock, limits });
  t.equal(reopened.usedBytes(), used, 'known at once after a restart');
  await t.rejects(reopened.append([event]), { name: 'LogFullError' });

  const reader = new Reader('worker', [INGESTION_TOPIC]);
  const subscription = await reopened.subscribe(reader);
  await until(() => reader.held.size === 2);
  clock.advance(EVERY_MS);
  await t.rejects(reopened.append([event]), { name: 'LogFullError' }, 'read, but not committed');
  for (const { partition, end } of before) await subscription.commit(reader.assignment(partition), end);
  await until(() => reader.records.length >= before.reduce((sum, { end }) => sum + end, 0));
  clock.advance(EVERY_MS);
  await until(() => reopened.usedBytes() < 0.4 * MIB);
  t.equal((await reopened.append([event])).length, 1);
});

void t.test(
  'whatever is committed, only what every group is past is deleted, and never an offset',
  async (t) => {
    const commits = fc.record({ one: fc.nat(300), two: fc.nat(300) });
    const property = fc.asyncProperty(fc.array(commits, { minLength: 1, maxLength: 3 }), async (rounds) => {
      const clock = new ManualClock();
      const limits = {
        retainedMs: EVERY_MS,
        retentionEveryMs: EVERY_MS,
        retentionChunksMax: 7,
        chunkBytesMax: 1_000,
      };
      const log = await openLog(t, { dir: await makeFolder(t), partitions: 1, clock, limits });
      for (let batch = 0; batch < 3; batch++) {
        await log.append(Array.from({ length: 100 }, () => makeRecord({ value: Buffer.alloc(300) })));
      }
      const readers = {
        one: new Reader('one', [INGESTION_TOPIC]),
        two: new Reader('two', [INGESTION_TOPIC]),
      };
      const one = await log.subscribe(readers.one);
      const two = await log.subscribe(readers.two);
      await until(() => readers.one.records.length + readers.two.records.length >= 600);
      const past = { one: 0, two: 0 };
      for (const round of rounds) {
        past.one = Math.max(past.one, round.one);
        past.two = Math.max(past.two, round.two);
        await one.commit(readers.one.assignment(0), past.one);
        await two.commit(readers.two.assignment(0), past.two);
        const everybody = Math.min(past.one, past.two);
        clock.advance(2 * EVERY_MS);
        // Chunks are deleted whole: of 1,000 bytes, two or three of these records.
        await until(async () => (await firstOf(log)) >= Math.min(everybody, 297) - 3);
        t.ok((await firstOf(log)) <= everybody);
      }
      const rest = new Reader('rest', [INGESTION_TOPIC]);
      await log.subscribe(rest);
      await until(() => rest.records.at(-1)?.offset === 299);
      const first = await firstOf(log);
      t.same(
        rest.records.map(({ offset }) => offset),
        Array.from({ length: 300 - first }, (_, index) => first + index),
      );
      t.equal((await log.append([makeRecord()]))[0]?.offset, 300);
      await log.close();
    });
    await fc.assert(property, { numRuns: 10 });
  },
);

void t.test('what everybody is past is kept for a time, and up to a size', async (t) => {
  const dir = await makeFolder(t);
  const clock = new ManualClock();
  const limits = { retainedMs: 10 * EVERY_MS, retainedBytesMax: MIB / 4, retentionEveryMs: EVERY_MS };
  const log = await openLog(t, { dir, clock, limits });
  const reader = new Reader('worker', [INGESTION_TOPIC]);
  const subscription = await log.subscribe(reader);
  await until(() => reader.held.size === 2);
  for (let append = 0; append < 100; append++)
    await log.append([makeRecord({ value: Buffer.alloc(10_000) })]);
  t.ok(log.usedBytes() > MIB);
  await until(() => reader.records.length === 100);
  for (const partition of [0, 1]) await subscription.commit(reader.assignment(partition), 50);
  clock.advance(EVERY_MS);
  await until(() => log.usedBytes() <= MIB / 4);
  t.ok(log.usedBytes() > MIB / 8, 'what fits the size stays');
  clock.advance(10 * EVERY_MS);
  await until(() => log.usedBytes() < MIB / 16);
  t.same(
    (await log.offsets(INGESTION_TOPIC)).map(({ first, end }) => [first, end]),
    [
      [49, 50],
      [49, 50],
    ],
    'the newest stays',
  );
  const used = log.usedBytes();
  await log.close();
  t.equal((await openLog(t, { dir, clock, limits })).usedBytes(), used, 'known at once after a restart');
});

void t.test('a topic that nobody has ever read is kept, and the log says so once', async (t) => {
  const warnings: string[] = [];
  const logger = heardLogger({ warn: (_, message) => void warnings.push(message) });
  const clock = new ManualClock();
  const limits = { retainedMs: 0, retainedBytesMax: 0, retentionEveryMs: EVERY_MS };
  const log = await openLog(t, { dir: await makeFolder(t), clock, logger, limits });
  for (let append = 0; append < 10; append++) await log.append([makeRecord({ key: 'abc' })]);
  for (let round = 0; round < 3; round++) {
    clock.advance(EVERY_MS);
    await log.append([makeRecord({ key: 'foobar' })]);
  }
  t.equal(await firstOf(log, 1), 0);
  t.same(warnings, ['No consumer group has ever read this topic: all of its records are kept']);
});

void t.test('a group that has only subscribed keeps its records, also after a restart', async (t) => {
  const dir = await makeFolder(t);
  const clock = new ManualClock();
  const options = { dir, clock, partitions: 1, limits: { retainedMs: 0, retentionEveryMs: EVERY_MS } };
  const log = await openLog(t, options);
  for (let append = 0; append < 10; append++) await log.append([makeRecord()]);
  const fast = new Reader('fast', [INGESTION_TOPIC]);
  const subscription = await log.subscribe(fast);
  await log.subscribe(new Reader('slow', [INGESTION_TOPIC]));
  await until(() => fast.records.length === 10);
  await subscription.commit(fast.assignment(0), 10);
  await log.close();
  const reopened = await openLog(t, options);
  clock.advance(EVERY_MS);
  for (let append = 0; append < 10; append++) await reopened.append([makeRecord()]);
  t.equal(await firstOf(reopened), 0);
});

async function appendForever(log: EventLog, record: ReturnType<typeof makeRecord>): Promise<never> {
  for (;;) await log.append([record]);
}

async function ends(log: EventLog, topic: Topic): Promise<number[]> {
  return (await log.offsets(topic)).map(({ end }) => end);
}

async function firstOf(log: EventLog, partition = 0): Promise<number> {
  return (await log.offsets(INGESTION_TOPIC))[partition]?.first ?? Number.NaN;
}
