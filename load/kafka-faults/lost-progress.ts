/**
 * What workers left behind is damaged while none of them runs: lists of unfinished offsets are gone, old and garbage,
 * retention has passed the committed offset, and in the end the topic is another one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { sleep, systemClock } from '../../src/clock.ts';
import { LIMITS } from '../../src/limits.ts';
import { inRanges } from '../../src/storage/offset-ranges.ts';
import type { OffsetRange } from '../../src/storage/person-store.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { bringUp, type Cluster } from '../support/cluster.ts';
import { deleteRecords, makeTopicAnew } from '../support/kafka-topics.ts';
import type { SeenRecord } from '../support/log-watch.ts';
import { countRows } from '../support/proof.ts';
import { type FaultOptions, type FaultResult, onCluster, type Scene } from '../support/scene.ts';
import { SeqClient } from '../support/seq-client.ts';

interface Left {
  readonly partition: number;
  readonly unfinished: readonly OffsetRange[];
  readonly held: number;
  readonly folded_below: number;
  readonly read_position: number;
}

const LEFT = `
  SELECT partition, unfinished, held, folded_below::int, read_position::int FROM tributary_partition
  WHERE topic = '${INGESTION_TOPIC}' AND log_id NOT LIKE '% until %' ORDER BY partition`;
const DAMAGE = `UPDATE tributary_partition SET unfinished = $2::jsonb WHERE topic = '${INGESTION_TOPIC}' AND partition = $1`;
const OLD_MS = 3_000;
const BACKLOG_EVENTS = 300;
/** Records that retention takes away above the committed offset. */
const TAKEN_RECORDS = 40;
const ACCEPTED = '--accept-new-log';
const LOOK_MS = 60_000;
const POLL_MS = 100;
const ANEW_EVENTS = 100;

export function lostProgress(options: FaultOptions): Promise<FaultResult> {
  let gone: Gone | undefined;
  return onCluster(
    { ...options, holdSeconds: 8 },
    async (scene) => {
      await damagedLists(scene);
      gone = await retentionPassed(scene);
    },
    {
      isLost: (record) => gone?.isLost(record) ?? false,
      async afterProof(scene, { lostWithRow }) {
        scene.facts['lost, with a row'] = lostWithRow;
        if (gone?.isInOrder && lostWithRow > 0)
          scene.problems.push(`${lostWithRow} records have their row and count as lost`);
        await topicAnew(scene);
      },
    },
  );
}

async function damagedLists(scene: Scene): Promise<void> {
  const { cluster, problems, report, takes } = scene;
  await takes(500);
  const old = await leftOnceTaken(cluster);
  await sleep(systemClock, OLD_MS);
  await Promise.all(cluster.workers.map((worker) => worker.kill()));
  const left = await leftOf(cluster);
  const held = left.reduce((sum, one) => sum + one.held, 0);
  if (held === 0) problems.push('no event was held when the workers ended');
  const damages: readonly unknown[] = [
    [],
    old[1]?.unfinished,
    'garbage',
    [{ from: 'one', to: { two: 2 } }, null],
  ];
  for (const [partition, damage] of damages.entries()) {
    await damageOne(cluster, [partition, JSON.stringify(damage)]);
  }
  report(
    `lists are gone, old and garbage (${held} events held); was ${JSON.stringify(left.map((one) => one.unfinished)).slice(0, 200)}`,
  );
  scene.state.forget();
  await Promise.all(cluster.workers.map(bringUp));
  await takes(500);
  await finished(cluster, left);
}

/** What every partition has, once all were taken and events are held. */
async function leftOnceTaken(cluster: Cluster): Promise<readonly Left[]> {
  const partitions = (await cluster.log.offsets(INGESTION_TOPIC)).length;
  const deadline = systemClock.monotonic() + LOOK_MS;
  for (;;) {
    const left = await leftOf(cluster);
    if (left.length === partitions && left.some(({ held }) => held > 0)) return left;
    if (systemClock.monotonic() > deadline) {
      throw new Error(
        `after ${LOOK_MS} ms ${left.length} of ${partitions} partitions are taken, or nothing is held`,
      );
    }
    await sleep(systemClock, POLL_MS);
  }
}

/** What the killed workers had open is rolled back in its own time; until then rows are locked. */
async function damageOne({ postgres }: Cluster, values: readonly unknown[]): Promise<void> {
  const deadline = systemClock.monotonic() + LOOK_MS;
  for (;;) {
    try {
      await postgres.query(DAMAGE, values);
      return;
    } catch (error) {
      if (systemClock.monotonic() > deadline) throw error;
    }
    await sleep(systemClock, POLL_MS);
  }
}

/** Resolves once nothing is unfinished of what was read then. */
async function finished(cluster: Cluster, then: readonly Left[]): Promise<void> {
  const deadline = systemClock.monotonic() + LOOK_MS;
  for (;;) {
    const now = await leftOf(cluster);
    const behind = now.filter(({ folded_below }, index) => folded_below < (then[index]?.read_position ?? 0));
    if (behind.length === 0) return;
    if (systemClock.monotonic() > deadline)
      throw new Error(`not finished after ${LOOK_MS} ms: ${JSON.stringify(behind).slice(0, 500)}`);
    await sleep(systemClock, POLL_MS);
  }
}

interface Gone {
  /** Everything was finished or held when the workers ended. */
  readonly isInOrder: boolean;
  /** Whether the record is gone, and progress did not say that it was done. */
  isLost(record: SeenRecord): boolean;
}

async function retentionPassed({ cluster, report, takes, problems }: Scene): Promise<Gone> {
  const partition = 0;
  const stops = await Promise.all(cluster.workers.map((worker) => worker.stop()));
  const isInOrder = stops.every(({ elapsedMs }) => elapsedMs < LIMITS.worker.closeMs);
  if (!isInOrder) report('a worker ended before it was done: records whose rows it sent may count as lost');
  const left = (await leftOf(cluster)).find((one) => one.partition === partition);
  if (left === undefined) throw new Error(`partition ${partition} has no progress`);
  await takes(BACKLOG_EVENTS);
  const committed = (await cluster.log.committed('worker', INGESTION_TOPIC)).get(partition) ?? 0;
  const first = committed + TAKEN_RECORDS;
  const { end = 0 } =
    (await cluster.log.offsets(INGESTION_TOPIC)).find((one) => one.partition === partition) ?? {};
  if (end <= first) problems.push(`retention takes everything: partition ${partition} ends at ${end}`);
  await deleteRecords(cluster.hosts, cluster.topicName(INGESTION_TOPIC), partition, first);
  report(`partition ${partition} begins at ${first}, committed was ${committed}`);
  await Promise.all(cluster.workers.map(bringUp));
  await takes(500);
  return {
    isInOrder,
    isLost: (record) =>
      record.partition === partition &&
      record.offset < first &&
      (record.offset >= left.read_position || inRanges(left.unfinished, record.offset)),
  };
}

/** Everything has settled by then. */
async function topicAnew({ cluster, watch, problems, report, facts }: Scene): Promise<void> {
  const { capture, workers } = cluster;
  await watch.close();
  const rowsBefore = (await countRows(cluster.loader)).uuids;
  await Promise.all([...workers, capture].map((system) => system.stop()));
  await makeTopicAnew(cluster.hosts, cluster.topicName(INGESTION_TOPIC), (await leftOf(cluster)).length);
  await Promise.all([...workers, capture].map(bringUp));
  const acknowledged = await post(capture.captureUrl);
  const deadline = systemClock.monotonic() + LOOK_MS;
  for (const [index, worker] of workers.entries()) {
    for (;;) {
      const { status, text } = await worker.readiness();
      if (status === 503 && text.includes(ACCEPTED)) {
        facts[`worker ${index + 1} refuses`] = text.trim();
        break;
      }
      if (systemClock.monotonic() > deadline) {
        problems.push(`/_ready of worker ${index + 1} does not name the command: ${status} ${text}`);
        break;
      }
      await sleep(systemClock, POLL_MS);
    }
  }
  if ((await countRows(cluster.loader)).uuids !== rowsBefore)
    problems.push('the new topic was read all the same');
  await Promise.all(workers.map((worker) => worker.stop()));
  report(await acceptNewLog(cluster));
  await Promise.all(workers.map(bringUp));
  const dueMs = systemClock.monotonic() + LOOK_MS;
  for (;;) {
    const { uuids } = await countRows(cluster.loader);
    if (uuids >= rowsBefore + acknowledged) break;
    if (systemClock.monotonic() > dueMs) {
      problems.push(`of ${acknowledged} events of the new topic ${uuids - rowsBefore} are rows`);
      break;
    }
    await sleep(systemClock, POLL_MS);
  }
  report(`accepted: ${acknowledged} events of the new topic are rows`);
}

async function post(captureUrl: string): Promise<number> {
  const client = new SeqClient({ captureUrl, name: 'anew', eventsPerSecond: ANEW_EVENTS, heldPerRequest: 0 });
  const running = client.run();
  while (client.acknowledged.size < ANEW_EVENTS) await sleep(systemClock, POLL_MS);
  client.stop();
  await running;
  return client.acknowledged.size;
}

async function acceptNewLog({ settings, workers: [worker] }: Cluster): Promise<string> {
  const root = join(import.meta.dirname, '..', '..');
  // With the settings of the worker that refuses.
  const env = { ...process.env, ...settings, TRIBUTARY_ROLES: 'worker', TRIBUTARY_DATA_DIR: worker?.dataDir };
  const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'src/cli/migrate.ts'), ACCEPTED], {
    cwd: root,
    env,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += chunk;
    });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`npm run migrate -- ${ACCEPTED} ended with ${code}: ${said}`);
  return said.trim();
}

async function leftOf({ postgres }: Cluster): Promise<readonly Left[]> {
  return (await postgres.query<Left>(LEFT)).rows;
}
