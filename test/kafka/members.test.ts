import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import t, { type Test } from 'tap';
import { LIMITS } from '../../src/limits.ts';
import type { EventLog } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { makeRecord, offsetsOf, Reader, until } from '../support/event-log.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { newPrefix, openLogOn } from '../support/kafka-log.ts';
import { createTopic } from '../support/kafka-topic.ts';

const PARTITIONS = 4;
const MEMBER = join(import.meta.dirname, '../support/kafka-member.ts');
t.setTimeout(600_000);
const hosts = await kafkaHosts();

/** A process of its own, and what it has. */
async function startMember(t: Test, prefix: string): Promise<{ child: ChildProcess; held: Set<number> }> {
  const child = spawn(process.execPath, ['--import', 'tsx', MEMBER, hosts, prefix], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const held = new Set<number>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [word, partition] = line.split(' ');
    if (word === 'assigned') held.add(Number(partition));
    if (word === 'revoked') held.delete(Number(partition));
  });
  return { child, held };
}

async function joined(log: EventLog, members: number): Promise<Reader[]> {
  const readers = Array.from({ length: members }, () => new Reader('shared', [INGESTION_TOPIC]));
  for (const reader of readers) await log.subscribe(reader);
  await until(() => readers.every(({ held }) => held.size === PARTITIONS / members));
  return readers;
}

const secondsSince = (startedAt: number): number => (performance.now() - startedAt) / 1000;

void t.test('who is killed is replaced within the session timeout and 3 s', async (t) => {
  const prefix = newPrefix();
  const log = await openLogOn(t, hosts, { prefix });
  const [survivor] = await joined(log, 1);
  if (!survivor) throw new Error('no member');
  const { child, held } = await startMember(t, prefix);
  await until(() => held.size === 2 && survivor.held.size === 2);
  const kept = [...survivor.held.values()];
  t.ok(child.kill('SIGKILL'));
  const killedAt = performance.now();
  await until(() => survivor.held.size === PARTITIONS);
  t.ok(secondsSince(killedAt) <= LIMITS.kafka.sessionTimeoutMs / 1000 + 3, `${secondsSince(killedAt)} s`);
  const generations = [...survivor.held.values()].map(({ generation }) => generation);
  for (const { generation } of kept) t.ok(generations.includes(generation), 'what it had it kept');
});

void t.test('who was stopped for longer than its session loses what it had, and joins again', async (t) => {
  const prefix = newPrefix();
  const log = await openLogOn(t, hosts, { prefix });
  const [survivor] = await joined(log, 1);
  const { child, held } = await startMember(t, prefix);
  await until(() => held.size === 2 && survivor?.held.size === 2);
  child.kill('SIGSTOP');
  await until(() => survivor?.held.size === PARTITIONS);
  const before = new Set(held);
  t.equal(before.size, 2);
  const revoked = new Set<number>();
  createInterface({ input: child.stdout ?? process.stdin }).on('line', (line) => {
    if (line.startsWith('revoked')) revoked.add(Number(line.split(' ')[1]));
  });
  child.kill('SIGCONT');
  await until(() => revoked.size === 2);
  t.same(revoked, before);
  await until(() => held.size === 2 && survivor?.held.size === 2);
});

void t.test('a planned leave moves its partitions within 2 s, and no others', async (t) => {
  const log = await openLogOn(t, hosts);
  const readers = [new Reader('shared', [INGESTION_TOPIC]), new Reader('shared', [INGESTION_TOPIC])];
  const subscriptions = [];
  for (const reader of readers) subscriptions.push(await log.subscribe(reader));
  await until(() => readers.every(({ held }) => held.size === 2));
  const [leaver, stayer] = readers;
  const kept = [...(stayer?.held.values() ?? [])];
  const leftAt = performance.now();
  const left = subscriptions[0]?.close();
  t.equal(leaver?.held.size, 0, 'revoked at once');
  await until(() => stayer?.held.size === PARTITIONS);
  t.ok(secondsSince(leftAt) < 2, `${secondsSince(leftAt)} s`);
  await left;
  for (const { partition, generation } of kept) {
    t.equal(stayer?.assignment(partition).generation, generation);
  }
});

void t.test('a member whose partitions are all paused, or wait for onAssign, stays one', async (t) => {
  const log = await openLogOn(t, hosts);
  const paused = new Reader('paused', [INGESTION_TOPIC]);
  const waiting = new Reader('waiting', [INGESTION_TOPIC]);
  let begin = (): void => {};
  const allowed = new Promise<void>((resolve) => {
    begin = resolve;
  });
  waiting.start = () => allowed.then(() => 'committed');
  const subscription = await log.subscribe(paused);
  await log.subscribe(waiting);
  await until(() => paused.held.size === PARTITIONS && waiting.held.size === PARTITIONS);
  for (const assignment of paused.held.values()) subscription.pause(assignment);
  await log.append([makeRecord()]);
  await delay(LIMITS.kafka.sessionTimeoutMs + 2_000);
  t.same([paused.revokes, waiting.revokes, paused.errors.length, waiting.errors.length], [0, 0, 0, 0]);
  begin();
  for (const assignment of paused.held.values()) subscription.resume(assignment);
  // More than one if the append had to be sent again.
  const ends = (await log.offsets(INGESTION_TOPIC)).map(({ end }) => end);
  const appended = ends.reduce((sum, end) => sum + end, 0);
  const whole = Array.from({ length: appended }, (_, offset) => offset);
  await until(() => paused.records.length >= appended && waiting.records.length >= appended);
  t.same(
    [paused, waiting].map(({ records }) => offsetsOf(records)),
    [whole, whole],
  );
});

void t.test('a topic that is deleted and made anew is assigned anew', async (t) => {
  const prefix = newPrefix();
  const log = await openLogOn(t, hosts, { prefix });
  const topic = `${prefix}${INGESTION_TOPIC}`;
  await log.append(Array.from({ length: 50 }, () => makeRecord({ key: 'abc' })));
  const [reader] = await joined(log, 1);
  if (!reader) throw new Error('no member');
  await until(() => reader.records.length >= 50);
  const before = reader.assignment(3).generation;
  const offsetsAfter: number[] = [];
  reader.handle = ({ generation }, records) => {
    if (generation > before) offsetsAfter.push(...offsetsOf(records));
  };
  const client = new kafkajs.Kafka({ brokers: hosts.split(','), logLevel: kafkajs.logLevel.NOTHING });
  const admin = client.admin();
  t.teardown(() => admin.disconnect());
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await delay(300);
  await createTopic(admin, { topic, numPartitions: PARTITIONS });
  // A member that never met the gap between the two topics hears of it with the first record of the new one. What is
  // appended before the broker has forgotten the old one goes with that.
  await until(async () => {
    await log.append([makeRecord({ key: 'abc' })]).catch(() => {});
    await delay(100);
    return offsetsAfter.length > 0;
  });
  t.equal(offsetsAfter[0], 0);
  t.same(reader.errors, []);
});

void t.test('a member that cannot join its group says so until it can', async (t) => {
  const prefix = newPrefix();
  const log = await openLogOn(t, hosts, { prefix, limits: { joinTimeoutMs: 1_500 } });
  // Somebody else's consumer, of another protocol.
  const client = new kafkajs.Kafka({ brokers: hosts.split(','), logLevel: kafkajs.logLevel.NOTHING });
  const foreign = client.consumer({ groupId: `${prefix}tributary-worker` });
  t.teardown(() => foreign.disconnect());
  await foreign.connect();
  await foreign.subscribe({ topics: [`${prefix}${INGESTION_TOPIC}`] });
  const hasJoined = new Promise<void>((resolve) => {
    foreign.on(foreign.events.GROUP_JOIN, () => resolve());
  });
  await foreign.run({ eachMessage: () => Promise.resolve() });
  await hasJoined;

  const reader = new Reader('worker', [INGESTION_TOPIC]);
  const subscription = await log.subscribe(reader);
  t.equal(log.trouble(), undefined, 'a join takes a moment');
  await until(() => log.trouble() !== undefined);
  t.match(
    log.trouble(),
    new RegExp(`^Kafka: not in the group ${prefix}tributary-worker for \\d+ s: .*protocol`),
  );
  await foreign.disconnect();
  await until(() => log.trouble() === undefined);
  await until(() => reader.held.size === PARTITIONS);
  await subscription.close();
  t.equal(log.trouble(), undefined);
});
