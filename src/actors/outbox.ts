/**
 * Sends what is saved: rows and persons go to the output topics in the order in which the saves were confirmed, and
 * only then do their records get their fates. One append at a time; a failing log is asked again until it answers.
 *
 * The ids that merges moved, tens of thousands perhaps, are a batch's bulk. It goes along with the batch and with those
 * after it, a part at a time, bulk after bulk, so that nobody else waits for all of it.
 *
 * Modes: idle     nothing to send
 *        sending  the oldest batch is under way, or the next part of the oldest bulk, or both
 *        closed   the session is over; what was not sent is replayed
 * Moves: idle → sending → idle · idle, sending → closed
 */
import { type Clock, sleep } from '../clock.ts';
import type { Fate } from '../event/outcome.ts';
import type { Logger } from '../logger.ts';
import type { AppendRecord, EventLog } from '../storage/event-log.ts';
import { Waiting } from './drain.ts';
import { invariant, Lifecycle, type Moves } from './lifecycle.ts';

type Mode = 'idle' | 'sending' | 'closed';
const MOVES: Moves<Mode> = { idle: ['sending', 'closed'], sending: ['idle', 'closed'], closed: [] };

export interface Finish {
  readonly partition: number;
  readonly offset: number;
  readonly fate: Fate;
}

export interface Batch {
  /** In their order. */
  readonly messages: Iterable<AppendRecord>;
  /** Of records that need nothing but `messages`. */
  readonly finishes: readonly Finish[];
  readonly bulk: Bulk | undefined;
}

/** Messages that later batches may overtake: those who read them tell old from new by their versions. */
export interface Bulk {
  readonly messages: Iterable<AppendRecord>;
  readonly count: number;
  /** Of records that have to be replayed unless all of the bulk was sent. */
  readonly finishes: readonly Finish[];
}

export interface OutboxOptions {
  readonly log: Pick<EventLog, 'append'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly appendRecordsMax: number;
  readonly batchesMax: number;
  /** Messages of bulks that wait. */
  readonly bulkMax: number;
  /** Those of them that go along with one batch. */
  readonly bulkPartMax: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** What these records left is durable. */
  readonly onSent: (finishes: readonly Finish[]) => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #life = new Lifecycle<Mode>('outbox', MOVES, 'idle');
  readonly #batches: Pushed[] = [];
  /** Those whose batch has left, or is leaving. */
  readonly #bulks: StartedBulk[] = [];
  /** Messages of bulks that are not sent yet. */
  #bulkCount = 0;
  #onRoom: (() => void)[] = [];
  readonly #waiting = new Waiting();
  /** Why nothing leaves at the moment. */
  stalled: string | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    const { batchesMax, bulkMax } = this.#options;
    return this.#batches.length >= batchesMax || this.#bulkCount >= bulkMax;
  }

  /** `onSent`: all of it, its bulk too, is durable. It is not called when the outbox is closed before. */
  push(batch: Batch, onSent: () => void = () => {}): void {
    if (this.#life.is('closed')) return;
    this.#batches.push({ batch, onSent });
    this.#bulkCount += batch.bulk?.count ?? 0;
    if (this.#life.is('idle')) void this.#run();
  }

  /** Calls back once, when another batch fits. */
  whenRoom(proceed: () => void): void {
    if (this.isFull) this.#onRoom.push(proceed);
    else proceed();
  }

  /** Everything pushed so far has been sent, or the outbox is closed. */
  get isIdle(): boolean {
    return !this.#life.is('sending');
  }

  /** Resolves once everything pushed has been sent, or the outbox is closed. */
  drained(): Promise<void> {
    return this.#waiting.until(this.isIdle);
  }

  close(): void {
    if (!this.#life.is('closed')) this.#life.move('closed');
    this.#batches.length = 0;
    this.#bulks.length = 0;
    this.#wake();
  }

  async #run(): Promise<void> {
    this.#life.move('sending');
    while (this.#batches.length + this.#bulks.length > 0) {
      const pushed = this.#batches[0];
      if (pushed?.batch.bulk) this.#bulks.push(started(pushed.batch.bulk, pushed.onSent));
      const part = this.#nextOfBulks();
      const messages = pushed ? concat(pushed.batch.messages, part) : part;
      const isSent = await this.#send(messages);
      if (!isSent || this.#life.is('closed')) return;
      if (pushed) {
        this.#batches.shift();
        this.#options.onSent(pushed.batch.finishes);
        if (pushed.batch.bulk === undefined) pushed.onSent();
      }
      this.#settleBulks(part.length);
      if (!this.isFull) for (const proceed of this.#onRoom.splice(0)) proceed();
    }
    this.#life.move('idle');
    this.#wake();
  }

  #wake(): void {
    this.#waiting.end();
    for (const proceed of this.#onRoom.splice(0)) proceed();
  }

  #nextOfBulks(): readonly AppendRecord[] {
    const part: AppendRecord[] = [];
    for (const bulk of this.#bulks) {
      while (bulk.left > 0 && part.length < this.#options.bulkPartMax) {
        const { value, done } = bulk.messages.next();
        invariant(!done, 'a bulk has as many messages as it says');
        part.push(value);
        bulk.left -= 1;
      }
    }
    return part;
  }

  /** So many messages of them were sent. */
  #settleBulks(count: number): void {
    this.#bulkCount -= count;
    for (let bulk = this.#bulks[0]; bulk?.left === 0; bulk = this.#bulks[0]) {
      this.#bulks.shift();
      this.#options.onSent(bulk.finishes);
      bulk.onSent();
    }
  }

  /** False: closed meanwhile. */
  async #send(messages: Iterable<AppendRecord>): Promise<boolean> {
    for (const chunk of chunksOf(messages, this.#options.appendRecordsMax)) {
      if (!(await this.#append(chunk))) return false;
    }
    return true;
  }

  /** Until it is taken: after an error of unknown outcome rows may repeat. False: closed meanwhile. */
  async #append(chunk: readonly AppendRecord[]): Promise<boolean> {
    const { log, clock, logger, backoffMinMs, backoffMaxMs } = this.#options;
    for (let backoffMs = backoffMinMs; ; backoffMs = Math.min(backoffMs * 2, backoffMaxMs)) {
      try {
        await log.append(chunk);
        this.stalled = undefined;
        return !this.#life.is('closed');
      } catch (error) {
        this.stalled = error instanceof Error ? error.message : String(error);
        logger.warn({ error: this.stalled, retryInMs: backoffMs }, 'rows cannot be appended to the log');
        await sleep(clock, backoffMs);
        if (this.#life.is('closed')) return false;
      }
    }
  }
}

interface Pushed {
  readonly batch: Batch;
  readonly onSent: () => void;
}

/** A bulk of which some may have been sent. */
interface StartedBulk {
  readonly messages: Iterator<AppendRecord, unknown>;
  readonly finishes: readonly Finish[];
  readonly onSent: () => void;
  left: number;
}

const started = ({ messages, count, finishes }: Bulk, onSent: () => void): StartedBulk => ({
  messages: messages[Symbol.iterator](),
  finishes,
  onSent,
  left: count,
});

function* concat<Item>(first: Iterable<Item>, second: Iterable<Item>): Generator<Item> {
  yield* first;
  yield* second;
}

function* chunksOf<Item>(items: Iterable<Item>, countMax: number): Generator<readonly Item[]> {
  let chunk: Item[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < countMax) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
