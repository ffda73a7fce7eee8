/**
 * Sends what is saved: rows and persons go to the output topics in the order in which the saves were confirmed, and
 * only then do their records get their fates. One append at a time; a failing log is asked again until it answers.
 *
 * Modes: idle     nothing to send
 *        sending  the oldest batch is under way
 *        closed   the session is over; what was not sent is replayed
 * Moves: idle → sending → idle · idle, sending → closed
 */
import { type Clock, sleep } from '../clock.ts';
import type { Fate } from '../event/outcome.ts';
import type { Logger } from '../logger.ts';
import type { AppendRecord, EventLog } from '../storage/event-log.ts';
import { Lifecycle, type Moves } from './lifecycle.ts';

type Mode = 'idle' | 'sending' | 'closed';
const MOVES: Moves<Mode> = { idle: ['sending', 'closed'], sending: ['idle', 'closed'], closed: [] };

export interface Finish {
  readonly partition: number;
  readonly offset: number;
  readonly fate: Fate;
}

export interface Batch {
  /** In their order; may be gone through again. */
  readonly messages: Iterable<AppendRecord>;
  readonly finishes: readonly Finish[];
}

export interface OutboxOptions {
  readonly log: Pick<EventLog, 'append'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly appendRecordsMax: number;
  readonly batchesMax: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** The batch's messages are durable. */
  readonly onSent: (finishes: readonly Finish[]) => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #life = new Lifecycle<Mode>('outbox', MOVES, 'idle');
  readonly #batches: Batch[] = [];
  #onRoom: (() => void)[] = [];
  #onEmpty: (() => void)[] = [];
  /** Why nothing leaves at the moment. */
  stalled: string | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#batches.length >= this.#options.batchesMax;
  }

  push(batch: Batch): void {
    if (this.#life.is('closed')) return;
    this.#batches.push(batch);
    if (this.#life.is('idle')) void this.#run();
  }

  /** Calls back once, when another batch fits. */
  whenRoom(proceed: () => void): void {
    if (this.isFull) this.#onRoom.push(proceed);
    else proceed();
  }

  /** Resolves once everything pushed so far has been sent, or the outbox is closed. */
  drained(): Promise<void> {
    if (!this.#life.is('sending')) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  close(): void {
    if (!this.#life.is('closed')) this.#life.move('closed');
    this.#batches.length = 0;
    this.#wake();
  }

  async #run(): Promise<void> {
    this.#life.move('sending');
    for (;;) {
      const batch = this.#batches[0];
      if (batch === undefined) break;
      const sent = await this.#send(batch);
      if (!sent || this.#life.is('closed')) return;
      this.#batches.shift();
      this.#options.onSent(batch.finishes);
      for (const proceed of this.#onRoom.splice(0)) proceed();
    }
    this.#life.move('idle');
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#onEmpty.splice(0)) resolve();
    for (const proceed of this.#onRoom.splice(0)) proceed();
  }

  /** False: closed meanwhile. A part that was sent before an error is sent again with the rest: rows may repeat. */
  async #send({ messages }: Batch): Promise<boolean> {
    const { log, clock, logger, appendRecordsMax, backoffMinMs, backoffMaxMs } = this.#options;
    let backoffMs = backoffMinMs;
    for (;;) {
      try {
        for (const chunk of chunksOf(messages, appendRecordsMax)) {
          await log.append(chunk);
          if (this.#life.is('closed')) return false;
        }
        this.stalled = undefined;
        return true;
      } catch (error) {
        this.stalled = error instanceof Error ? error.message : String(error);
        logger.warn({ error: this.stalled, retryInMs: backoffMs }, 'rows cannot be appended to the log');
        await sleep(clock, backoffMs);
        if (this.#life.is('closed')) return false;
        backoffMs = Math.min(backoffMs * 2, backoffMaxMs);
      }
    }
  }
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
