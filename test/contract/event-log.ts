/** What every adapter of the `EventLog` port keeps to. */
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { AppendRecord, EventLog, LogRecord, Position } from '../../src/storage/event-log.ts';
import { partitionOf } from '../../src/storage/murmur2.ts';
import { INGESTION_TOPIC, type Topic } from '../../src/storage/topics.ts';
import { byPartition, emptyOffsets, makeRecord, offsetsOf, Reader, until } from '../support/event-log.ts';

export interface LogUnderTest {
  readonly log: EventLog;
  /** Closes the log and gives back what it used. */
  dispose(): Promise<void>;
  /** Closes the log and opens the same one again; absent where nothing outlives the log object. */
  reopen?(): Promise<EventLog>;
}

/** Makes an empty log whose topics have `partitions` partitions. */
export type LogFactory = (partitions: number) => Promise<LogUnderTest>;

const PARTITIONS = 4;
const OTHER_TOPIC: Topic = 'clickhouse_events_json';
/** Long enough for what must not arrive to have arrived. */
const QUIET_MS = 100;

export function eventLogContract(name: string, factory: LogFactory): void {
  const test = (title: string, run: (t: Test, subject: LogUnderTest) => Promise<void>) =>
    t.test(`${name}: ${title}`, async (t) => {
      const subject = await factory(PARTITIONS);
      t.teardown(() => subject.dispose());
      await run(t, subject);
    });

  void test('every record comes back as it was given, where append said, in order', async (t, { log }) => {
    const record = fc.record({
      topic: fc.constantFrom<Topic>(INGESTION_TOPIC, OTHER_TOPIC),
      key: fc.option(fc.string({ unit: 'grapheme', maxLength: 20 }), { nil: null }),
      value: fc.oneof(fc.uint8Array({ maxLength: 3_000 }), fc.string({ unit: 'grapheme', maxLength: 900 })),
      headers: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string({ unit: 'grapheme' }), {
        maxKeys: 5,
      }),
      timestamp: fc.integer({ min: 0, max: 4_102_444_800_000 }),
    });
    const appends = fc.array(fc.array(record, { maxLength: 30 }), { minLength: 1, maxLength: 4 });
    let runs = 0;
    const property = fc.asyncProperty(appends, async (batches) => {
      const starts = new Map<string, number>();
      for (const topic of [INGESTION_TOPIC, OTHER_TOPIC] as const) {
        for (const { partition, end } of await log.offsets(topic)) starts.set(`${topic} ${partition}`, end);
      }
      const expected: LogRecord[] = [];
      for (const batch of batches) {
        const positions = await log.append(batch);
        t.equal(positions.length, batch.length);
        for (const [index, position] of positions.entries()) {
          const given = batch[index] as AppendRecord;
          expected.push({ ...given, value: Buffer.from(given.value), ...position });
        }
      }
      for (const { key, partition } of expected) {
        if (key !== null) t.equal(partition, partitionOf(key, PARTITIONS));
      }
      const reader = new Reader(`round trip ${runs++}`, [INGESTION_TOPIC, OTHER_TOPIC]);
      reader.start = ({ topic, partition }) => starts.get(`${topic} ${partition}`) ?? 0;
      const subscription = await log.subscribe(reader);
      await until(() => reader.records.length >= expected.length);
      await subscription.close();
      t.same(byPartition(reader.records), byPartition(expected));
    });
    await fc.assert(property, { numRuns: 15 });
  });

  void test("keys go where Kafka's default partitioner sends them", async (t, { log }) => {
    const known: Record<string, number> = {
      abc: 3,
      '21': 0,
      foobar: 2,
      'a-little-bit-long-string': 0,
      lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: 1,
    };
    const positions = await log.append(Object.keys(known).map((key) => makeRecord({ key })));
    t.same(
      positions.map(({ partition }) => partition),
      Object.values(known),
    );
  });

  void test('offsets rise from 0 without gaps, for many appends at once too', async (t, { log }) => {
    const appends: Promise<readonly Position[]>[] = [];
    for (let append = 0; append < 100; append++) {
      appends.push(log.append(Array.from({ length: 1 + (append % 5) }, () => makeRecord())));
    }
    const positions = await Promise.all(appends);
    const next = new Map<number, number>();
    // In the order of the calls: an append issued earlier has the lower offsets.
    for (const { partition, offset } of positions.flat()) {
      t.equal(offset, next.get(partition) ?? 0);
      next.set(partition, offset + 1);
    }
    for (const { partition, first, end } of await log.offsets(INGESTION_TOPIC)) {
      t.equal(first, 0);
      t.equal(end, next.get(partition) ?? 0);
    }
    t.same(await log.offsets(OTHER_TOPIC), emptyOffsets(PARTITIONS));
  });

  void test('an append of nothing is nothing', async (t, { log }) => {
    t.same(await log.append([]), []);
    t.same(await log.offsets(INGESTION_TOPIC), emptyOffsets(PARTITIONS));
    t.equal(await log.partitionCount(INGESTION_TOPIC), PARTITIONS);
  });

  void test('a batch of 20,000 records is read in calls of recordsMax at most', async (t, { log }) => {
    const value = Buffer.alloc(200, 'x');
    await log.append(Array.from({ length: 20_000 }, () => makeRecord({ value })));
    const reader = new Reader('large', [INGESTION_TOPIC], 500);
    await log.subscribe(reader);
    await until(() => reader.records.length >= 20_000);
    t.equal(reader.records.length, 20_000);
    t.ok(reader.callSizes.every((size) => size > 0 && size <= 500));
    for (const records of byPartition(reader.records).values()) {
      t.ok(records.every((record, index) => record.offset === index));
    }
  });

  void test('a record of 1 MB keeps every byte', async (t, { log }) => {
    const value = Buffer.from(Uint8Array.from({ length: 1_000_000 }, (_, index) => index * 7));
    await log.append([makeRecord({ value })]);
    const reader = new Reader('huge', [INGESTION_TOPIC]);
    await log.subscribe(reader);
    await until(() => reader.records.length > 0);
    t.ok(value.equals(reader.records[0]?.value ?? Buffer.alloc(0)));
  });

  void test('records wait for onAssign, and begin at the offset that it returns', async (t, { log }) => {
    await log.append(Array.from({ length: 10 }, () => makeRecord({ key: 'abc' })));
    const reader = new Reader('start', [INGESTION_TOPIC]);
    let isAssigned = false;
    reader.start = async ({ partition }) => {
      await delay(50);
      if (partition === 3) isAssigned = true;
      return partition === 3 ? 7 : 'committed';
    };
    reader.handle = () => t.ok(isAssigned);
    await log.subscribe(reader);
    await until(() => reader.records.length >= 3);
    t.same(offsetsOf(reader.records), [7, 8, 9]);
    await log.append([makeRecord({ key: 'abc' })]);
    await until(() => reader.records.length >= 4);
    t.same(offsetsOf(reader.records), [7, 8, 9, 10]);
  });

  void test('an assignment that ends before onAssign has answered gets no records', async (t, { log }) => {
    await log.append([makeRecord()]);
    const reader = new Reader('slow to begin', [INGESTION_TOPIC]);
    let begin = (_offset: number): void => {};
    const answer = new Promise<number>((resolve) => {
      begin = resolve;
    });
    reader.start = () => answer;
    const subscription = await log.subscribe(reader);
    await until(() => reader.held.size === PARTITIONS);
    await subscription.close();
    t.equal(reader.held.size, 0);
    begin(0);
    await delay(QUIET_MS);
    t.same([reader.callSizes.length, reader.errors.length], [0, 0]);
  });

  void test('a later subscriber goes on where the group has committed', async (t, { log }) => {
    await log.append(Array.from({ length: 10 }, () => makeRecord({ key: 'abc' })));
    t.same(await log.committed('resume', INGESTION_TOPIC), new Map());
    const first = new Reader('resume', [INGESTION_TOPIC]);
    const subscription = await log.subscribe(first);
    await until(() => first.records.length >= 10);
    t.same(offsetsOf(first.records), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'without a commit: from the first');
    await subscription.commit(first.assignment(3), 6);
    t.equal((await log.committed('resume', INGESTION_TOPIC)).get(3), 6);
    await subscription.close();
    const second = new Reader('resume', [INGESTION_TOPIC]);
    await log.subscribe(second);
    await until(() => second.records.length >= 4);
    t.same(offsetsOf(second.records), [6, 7, 8, 9]);
    t.same(await log.committed('somebody else', INGESTION_TOPIC), new Map());
    t.same(await log.committed('resume', OTHER_TOPIC), new Map());
  });

  void test('a commit for an assignment that is over is ignored', async (t, { log }) => {
    const first = new Reader('late', [INGESTION_TOPIC]);
    const earlier = await log.subscribe(first);
    await until(() => first.held.size === PARTITIONS);
    const over = first.assignment(3);
    await earlier.commit(over, 1);
    await earlier.close();
    await earlier.commit(over, 5);
    const second = new Reader('late', [INGESTION_TOPIC]);
    const later = await log.subscribe(second);
    await until(() => second.held.size === PARTITIONS);
    await later.commit(over, 5);
    t.equal((await log.committed('late', INGESTION_TOPIC)).get(3), 1);
    await later.commit(second.assignment(3), 2);
    t.equal((await log.committed('late', INGESTION_TOPIC)).get(3), 2);
  });

  void test('a paused partition is silent until resume, and the others go on', async (t, { log }) => {
    await log.append(Array.from({ length: 100 }, () => makeRecord({ key: 'abc' })));
    const reader = new Reader('pause', [INGESTION_TOPIC], 10);
    reader.handle = ({ topic, partition }) => {
      if (partition === 3) subscription.pause({ topic, partition });
    };
    const subscription = await log.subscribe(reader);
    await until(() => reader.records.length >= 10);
    await log.append([makeRecord({ key: 'foobar' })]);
    await until(() => reader.records.length >= 11);
    await delay(QUIET_MS);
    t.equal(reader.records.length, 11);
    reader.handle = () => {};
    subscription.resume({ topic: INGESTION_TOPIC, partition: 3 });
    await until(() => reader.records.length >= 101);
    const offsets = offsetsOf(byPartition(reader.records).get(`${INGESTION_TOPIC} 3`) ?? []);
    t.same(
      offsets,
      Array.from({ length: 100 }, (_, index) => index),
      'each once, in order',
    );
  });

  void test('after a rewind the next record is the one asked for', async (t, { log }) => {
    await log.append(Array.from({ length: 10 }, () => makeRecord({ key: 'abc' })));
    const reader = new Reader('rewind', [INGESTION_TOPIC], 5);
    let rewinds = 0;
    reader.handle = (assignment) => {
      if (rewinds++ === 0) subscription.rewind(assignment, 2);
    };
    const subscription = await log.subscribe(reader);
    await until(() => reader.records.length >= 13);
    t.same(offsetsOf(reader.records), [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7, 8, 9], 'inside onRecords');
    subscription.pause({ topic: INGESTION_TOPIC, partition: 3 });
    subscription.rewind({ topic: INGESTION_TOPIC, partition: 3 }, 8);
    await delay(QUIET_MS);
    t.equal(reader.records.length, 13, 'a rewind is no resume');
    subscription.resume({ topic: INGESTION_TOPIC, partition: 3 });
    await until(() => reader.records.length >= 15);
    t.same(offsetsOf(reader.records).slice(13), [8, 9], 'outside of it');
  });

  void test('close revokes every partition once, and nothing comes after it', async (t, { log }) => {
    const reader = new Reader('close', [INGESTION_TOPIC, OTHER_TOPIC]);
    const subscription = await log.subscribe(reader);
    await until(() => reader.held.size === 2 * PARTITIONS);
    await subscription.close();
    t.equal(reader.held.size, 0);
    t.equal(reader.revokes, 2 * PARTITIONS);
    await log.append([makeRecord()]);
    await delay(QUIET_MS);
    t.equal(reader.callSizes.length, 0);
    await subscription.close();
    t.equal(reader.revokes, 2 * PARTITIONS);
    const next = new Reader('close', [INGESTION_TOPIC]);
    await log.subscribe(next);
    await until(() => next.held.size === PARTITIONS);
    const before = Math.max(...reader.generations);
    t.ok(
      next.generations.every((generation) => generation > before),
      'generations rise',
    );
    t.equal(new Set(next.generations).size, next.generations.length);
  });

  void test('the members of a group share the partitions, and take over from one another', async (t, {
    log,
  }) => {
    const owners = new Map<number, Reader>();
    const members = [1, 2, 3].map(() => {
      const member = new Reader('shared', [INGESTION_TOPIC]);
      member.start = ({ partition }) => {
        t.equal(owners.get(partition), undefined, 'the former owner has lost it');
        owners.set(partition, member);
        return 'committed';
      };
      member.onRevoked = ({ partition }) => {
        owners.delete(partition);
      };
      member.handle = ({ partition }) => t.equal(owners.get(partition), member);
      return member;
    });
    const subscriptions = [];
    for (const member of members) subscriptions.push(await log.subscribe(member));
    await until(() => members.every((member) => member.held.size >= 1) && owners.size === PARTITIONS);
    await log.append(Array.from({ length: 100 }, (_, index) => makeRecord({ key: `key ${index}` })));
    await until(() => members.flatMap((member) => member.records).length >= 100);
    await subscriptions[0]?.close();
    await until(() => owners.size === PARTITIONS && members[0]?.held.size === 0);
    await subscriptions[1]?.close();
    await until(() => members[2]?.held.size === PARTITIONS);
  });

  void test('every group gets every record', async (t, { log }) => {
    const readers = [new Reader('one', [INGESTION_TOPIC]), new Reader('two', [INGESTION_TOPIC])];
    for (const reader of readers) await log.subscribe(reader);
    await log.append(Array.from({ length: 50 }, (_, index) => makeRecord({ key: `key ${index}` })));
    await until(() => readers.every((reader) => reader.records.length >= 50));
    t.same(byPartition(readers[0]?.records ?? []), byPartition(readers[1]?.records ?? []));
  });

  void test('a handler that throws ends its subscription with onError', async (t, { log }) => {
    await log.append([makeRecord()]);
    const inRecords = new Reader('throws in onRecords', [INGESTION_TOPIC]);
    inRecords.handle = () => {
      throw new Error('no');
    };
    const inAssign = new Reader('throws in onAssign', [INGESTION_TOPIC]);
    inAssign.start = () => Promise.reject(new Error('never'));
    for (const reader of [inRecords, inAssign]) await log.subscribe(reader);
    await until(() => inRecords.errors.length > 0 && inAssign.errors.length > 0);
    await log.append([makeRecord()]);
    await delay(QUIET_MS);
    t.same([inRecords.errors.length, inRecords.errors[0]?.message], [1, 'no']);
    t.same([inAssign.errors.length, inAssign.errors[0]?.message], [1, 'never']);
    t.equal(inRecords.callSizes.length, 1);
    t.equal(inRecords.held.size, 0);
  });

  void test('a tail sees all of what is appended after it, and nothing from before', async (t, { log }) => {
    await log.append([makeRecord({ value: Buffer.from('before') })]);
    const seen: LogRecord[] = [];
    const tail = await log.tail([INGESTION_TOPIC, OTHER_TOPIC], (records) => seen.push(...records));
    const after = Array.from({ length: 700 }, (_, index) => makeRecord({ key: `key ${index}` }));
    await log.append([...after, makeRecord({ topic: OTHER_TOPIC })]);
    await log.append([makeRecord({ topic: 'clickhouse_groups' })]);
    await until(() => seen.length >= 701);
    await delay(QUIET_MS);
    t.equal(seen.length, 701);
    t.notOk(seen.some(({ value }) => Buffer.from(value).toString() === 'before'));
    await tail.close();
    await log.append([makeRecord()]);
    await delay(QUIET_MS);
    t.equal(seen.length, 701);
  });

  void test('records, commits and identity outlive the log object', async (t, subject) => {
    const { log } = subject;
    if (!subject.reopen) return void t.pass('nothing outlives this one');
    const positions = await log.append(
      Array.from({ length: 10 }, (_, index) => makeRecord({ key: `${index}` })),
    );
    const before = await log.offsets(INGESTION_TOPIC);
    const reader = new Reader('persistent', [INGESTION_TOPIC]);
    const subscription = await log.subscribe(reader);
    await until(() => reader.held.size === PARTITIONS);
    for (const { partition, end } of before) await subscription.commit(reader.assignment(partition), end);
    const identity = log.identity();

    const reopened = await subject.reopen();
    t.equal(reader.held.size, 0, 'closing the log revokes');
    t.equal(reopened.identity(), identity);
    t.same(await reopened.offsets(INGESTION_TOPIC), before);
    for (const { partition, end } of before) {
      t.equal((await reopened.committed('persistent', INGESTION_TOPIC)).get(partition), end);
    }
    const next = await reopened.append([makeRecord({ key: 'abc' })]);
    t.equal(next[0]?.offset, positions.filter(({ partition }) => partition === 3).length);
    const again = new Reader('anew', [INGESTION_TOPIC]);
    await reopened.subscribe(again);
    await until(() => again.records.length >= 11);
    t.equal(again.records.length, 11);
    const resumed = new Reader('persistent', [INGESTION_TOPIC]);
    await reopened.subscribe(resumed);
    await until(() => resumed.records.length >= 1);
    t.same(offsetsOf(resumed.records), [next[0]?.offset]);
  });

  void test('a log that is closed refuses', async (t, { log }) => {
    await log.close();
    await log.close();
    await t.rejects(log.append([makeRecord()]), { name: 'LogUnavailableError' });
    await t.rejects(log.subscribe(new Reader('closed', [INGESTION_TOPIC])));
  });

  void t.test(`${name}: two logs have two identities`, async (t) => {
    const logs = [await factory(1), await factory(1)];
    t.teardown(() => Promise.all(logs.map((subject) => subject.dispose())));
    t.equal(new Set(logs.map(({ log }) => log.identity())).size, 2);
    for (const { log } of logs) t.equal(await log.partitionCount(INGESTION_TOPIC), 1);
  });
}
