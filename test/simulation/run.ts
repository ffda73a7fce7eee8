/** Runs a plan: the real worker on the simulated log, store and clock, until all is settled. */
import { captureKey } from '../../src/event/captured.ts';
import { asDistinctId, asToken } from '../../src/event/ids.ts';
import type { Metrics } from '../../src/metrics.ts';
import { type AppendRecord, LogUnavailableError } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { advance, settle } from './driver.ts';
import type { HistoryEvent } from './history.ts';
import type { Plan } from './plan.ts';
import { Random } from './random.ts';
import { EPOCH_MS, Process, TOKEN, World } from './world.ts';

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
}

/** Simulated milliseconds after the last event within which everything has to have its fate. */
const PATIENCE_MS = 600_000;

export async function run(plan: Plan, metrics: Metrics): Promise<Ran> {
  const random = new Random(plan.worldSeed);
  const world = new World({ partitions: plan.partitions, weather: plan.weather, random, metrics });
  const crew = new Crew(world, plan);
  crew.start();
  const records: SentRecord[] = [];
  for (const event of plan.events) {
    const waitMs = event.atMs - world.clock.monotonic();
    if (waitMs > 0) await advance(world.clock, waitMs);
    const [position] = await world.log.append([recordOf(event)]);
    if (position === undefined) throw new LogUnavailableError('the log gave no position');
    records.push({ event, ...position });
  }
  const untilMs = world.clock.monotonic() + PATIENCE_MS;
  while (!isSettled(world) && world.faults.length === 0 && world.clock.monotonic() < untilMs) {
    await advance(world.clock, 250);
  }
  const settled = isSettled(world);
  await crew.close();
  return { plan, world, records, settled, restarts: crew.restarts };
}

/** Keeps one process running, and ends it where the plan says. */
class Crew {
  readonly #world: World;
  readonly #plan: Plan;
  #process: Process | undefined;
  #steps = 0;
  restarts = 0;
  #closed = false;

  constructor(world: World, plan: Plan) {
    this.#world = world;
    this.#plan = plan;
    world.onStep = (name) => {
      this.#steps += 1;
      const stop = plan.stops.find(({ step }) => step === this.#steps);
      if (stop === undefined || this.#process === undefined) return;
      world.note(`-- ${stop.kind} at ${name}`);
      const process = this.#process;
      this.#process = undefined;
      this.restarts += 1;
      const again = () => world.clock.after(stop.downMs, () => this.start());
      if (stop.kind === 'crash') {
        process.kill();
        again();
      } else void process.close().then(again, (error) => world.faults.push(String(error)));
    };
  }

  start(): void {
    if (this.#closed) return;
    this.#world.note('-- start');
    Process.start(this.#world, this.#plan.process).then(
      (process) => {
        this.#process = process;
      },
      (error) => this.#world.faults.push(String(error)),
    );
  }

  /** Stops the process as a signal does. */
  async close(): Promise<void> {
    this.#closed = true;
    const closing = { done: this.#process === undefined };
    this.#process?.close().then(
      () => {
        closing.done = true;
      },
      (error) => {
        closing.done = true;
        this.#world.faults.push(String(error));
      },
    );
    this.#process = undefined;
    for (let waitedMs = 0; !closing.done && waitedMs < PATIENCE_MS; waitedMs += 100) {
      await advance(this.#world.clock, 100);
    }
    await settle();
    if (!closing.done) this.#world.faults.push('the worker did not close');
  }
}

/** By the books: everything was read, nothing is held or in flight. */
function isSettled({ store, log }: World): boolean {
  const progress = store.progress();
  const end = log.readAll(INGESTION_TOPIC).length;
  const read = progress.reduce((sum, { readPosition, firstOffset }) => sum + readPosition - firstOffset, 0);
  return read === end && progress.every(({ held, inFlight }) => held === 0 && inFlight === 0);
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
