/** Runs a plan: the real worker on the simulated log, store and clock, until all is settled. */
import { captureKey } from '../../src/event/captured.ts';
import { asDistinctId, asToken } from '../../src/event/ids.ts';
import { LOADER_GROUP } from '../../src/loader/loader.ts';
import type { Metrics } from '../../src/metrics.ts';
import { type AppendRecord, LogUnavailableError } from '../../src/storage/event-log.ts';
import { CLICKHOUSE_TOPICS, INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { Crew } from './crew.ts';
import { advance } from './driver.ts';
import { sourceOf } from './follow.ts';
import type { HistoryEvent } from './history.ts';
import type { Plan } from './plan.ts';
import { Random } from './random.ts';
import { Watch } from './watch.ts';
import { EPOCH_MS, TOKEN, World } from './world.ts';

/** A record of the history, where the log has it. */
export interface SentRecord {
  readonly event: HistoryEvent;
  readonly partition: number;
  readonly offset: number;
}

export interface Ran {
  readonly plan: Plan;
  readonly world: World;
  readonly records: readonly SentRecord[];
  readonly settled: boolean;
  readonly restarts: number;
  readonly spoilt: number;
  readonly replays: number;
  readonly watch: Watch;
}

/** Simulated milliseconds after the last event within which everything has to have its fate. */
const PATIENCE_MS = 600_000;
/** How many of the answers that come at the same moment come together. */
const BURSTS = 0.5;
/** After so long without anything new it never comes: nobody waits that long before a next try. */
const QUIET_MS = 60_000;

export async function run(plan: Plan, metrics: Metrics): Promise<Ran> {
  const random = new Random(plan.worldSeed);
  const world = new World({ ...plan, random, metrics });
  const watch = new Watch(world, plan.process.holdMs);
  const crew = new Crew(world, plan, watch, random.fork());
  crew.start();
  let replays = 0;
  if (plan.replayAtMs !== undefined) {
    world.clock.after(plan.replayAtMs, () => {
      world.note('-- a replay of partition 0 is asked for');
      if (world.store.askReplay(0, 0)) replays += 1;
    });
  }
  const bursts = random.fork();
  const isBurst = () => bursts.chance(BURSTS);
  const records: SentRecord[] = [];
  for (const event of plan.events) {
    const waitMs = event.atMs - world.clock.monotonic();
    if (waitMs > 0) await advance(world.clock, waitMs, isBurst);
    const [position] = await world.log.append([recordOf(event)]);
    if (position === undefined) throw new LogUnavailableError('the log gave no position');
    records.push({ event, ...position });
    watch.sent(sourceOf(position), event);
  }
  const settled = await settles(world, crew, isBurst);
  await crew.close();
  return { plan, world, records, settled, restarts: crew.restarts, spoilt: crew.spoilt, replays, watch };
}

/** Lets time pass until all is settled. False: it came to no end, or nothing happened any more. */
async function settles(world: World, crew: Crew, isBurst: () => boolean): Promise<boolean> {
  const untilMs = world.clock.monotonic() + PATIENCE_MS;
  let before = '';
  let movedMs = 0;
  const isOver = () => !crew.hasZombies && isSettled(world);
  while (!isOver() && world.faults.length === 0 && world.clock.monotonic() < untilMs) {
    await advance(world.clock, 250, isBurst);
    const nowMs = world.clock.monotonic();
    const state = stateOf(world);
    if (state !== before) movedMs = nowMs;
    else if (nowMs - movedMs > QUIET_MS) return false;
    before = state;
  }
  return isOver();
}

/** How far everything has come. */
function stateOf({ store, log, clickhouse }: World): string {
  const positions = store
    .progress()
    .map(({ readPosition, held, inFlight }) => [readPosition, held, inFlight]);
  const rows = CLICKHOUSE_TOPICS.map((topic) => log.readAll(topic).length).join();
  return [store.witness.length, rows, clickhouse.texts('events').length, ...positions].join();
}

/** By the books: everything was read, nothing is held or in flight, and everything produced was loaded. */
function isSettled({ store, log }: World): boolean {
  const progress = store.progress();
  const end = log.readAll(INGESTION_TOPIC).length;
  const read = progress.reduce((sum, { readPosition, firstOffset }) => sum + readPosition - firstOffset, 0);
  const isLoaded = CLICKHOUSE_TOPICS.every((topic) => log.isConsumed(LOADER_GROUP, topic));
  return isLoaded && read === end && progress.every(({ held, inFlight }) => held === 0 && inFlight === 0);
}

function recordOf(event: HistoryEvent): AppendRecord {
  const { uuid, name, distinctId, properties, timestampMs, atMs, historical, fault } = event;
  const captured = {
    uuid,
    distinct_id: distinctId,
    ip: '',
    data: JSON.stringify({ event: name, properties }),
    now: new Date(EPOCH_MS + atMs).toISOString(),
    token: fault === 'unknown_token' ? 'phc_nobody' : TOKEN,
    event: name,
    timestamp: new Date(timestampMs).toISOString(),
    ...(historical ? { historical_migration: true } : {}),
  };
  return {
    topic: INGESTION_TOPIC,
    key: captureKey(asToken(captured.token), asDistinctId(distinctId)),
    value: fault === 'malformed' ? '{' : JSON.stringify(captured),
    headers: {},
    timestamp: EPOCH_MS + atMs,
  };
}
