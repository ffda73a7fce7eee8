import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Batch } from 'kafkajs';
import t from 'tap';
import type { LogRecord } from '../../src/storage/event-log.ts';
import { Holding } from '../../src/storage/kafka/holding.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { Random } from '../simulation/random.ts';

const END = 60;
/** Offsets without records: marks of transactions, which kafkajs skips without a word. */
const isMark = (offset: number): boolean => (offset >= 20 && offset < 26) || offset === 40;

/** A partition as kafkajs reads it: one fetch at a time, and its answer may wait before it is handed on. */
class Partition {
  isPaused = false;
  hasMoved = false;
  #sought: number | undefined;
  #next = 0;
  #fetched: { readonly from: number; readonly offsets: readonly number[] } | undefined;
  #answered: { readonly from: number; readonly offsets: readonly number[] } | undefined;
  readonly pause = (): void => {
    this.isPaused = true;
  };
  readonly resume = (): void => {
    this.isPaused = false;
  };
  readonly seek = (_topic: string, _partition: number, offset: number): void => {
    this.#sought = offset;
  };

  fetch(count: number): void {
    if (this.#answered || this.#fetched) return;
    this.#next = this.#sought ?? this.#next;
    this.#sought = undefined;
    if (this.isPaused) return;
    const from = this.#next;
    this.#fetched = {
      from,
      offsets: Array.from({ length: Math.min(count, END - from) }, (_, at) => from + at),
    };
  }

  /** The partition is led by another broker: its fetcher takes up the seek, the answer to the former one still comes. */
  move(): void {
    if (!this.#fetched || this.#sought === undefined) return;
    this.#next = this.#sought;
    this.#sought = undefined;
    this.hasMoved = true;
  }

  answer(): void {
    if (!this.isPaused && this.#sought === undefined) this.#answered ??= this.#fetched;
    this.#fetched = undefined;
  }

  async handOn(holding: Holding): Promise<void> {
    const answer = this.#answered;
    this.#answered = undefined;
    if (!answer || answer.offsets.length === 0) return;
    const last = answer.offsets.at(-1) ?? 0;
    const resolveOffset = (offset: string): void => {
      this.#next = Number(offset) + 1;
    };
    const messages = answer.offsets.filter((offset) => !isMark(offset)).map(toMessage);
    if (messages.length === 0) resolveOffset(String(last));
    else {
      await holding.take({
        batch: { messages, fetchedOffset: answer.from, lastOffset: () => String(last) } as unknown as Batch,
        resolveOffset,
        isStale: () => this.#sought !== undefined,
      });
    }
  }
}

function toMessage(offset: number) {
  return { offset: String(offset), key: null, value: null, timestamp: '0', headers: {}, attributes: 0 };
}

/** One run: what its owner does to a partition while kafkajs reads it. */
class Run {
  readonly partition = new Partition();
  readonly faults: string[] = [];
  readonly #random: Random;
  #next = 0;
  #isPaused = false;
  #isBegun = false;
  #holding: Holding;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#holding = this.#assigned();
  }

  get isDone(): boolean {
    return this.#next === END;
  }

  async step(): Promise<void> {
    const random = this.#random;
    await random.pick<() => Promise<void> | void>([
      () => this.partition.fetch(random.int(1, 12)),
      () => this.partition.answer(),
      () => void this.handOn(),
      () => nextTurn(),
      () => Promise.resolve(),
      () => this.begin(),
      () => this.#pause(),
      () => this.resume(),
      () => this.#rewind(),
      () => this.#holding.rejoined(),
      () => this.partition.move(),
    ])();
  }

  begin(): void {
    if (!this.#isBegun) this.#holding.begin(0);
    this.#isBegun = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#holding.resume();
  }

  handOn(): Promise<void> {
    return this.partition.handOn(this.#holding);
  }

  #pause(): void {
    this.#isPaused = true;
    this.#holding.pause();
  }

  #rewind(): void {
    this.#next = this.#random.int(0, END - 1);
    this.#holding.rewind(this.#next);
  }

  #assigned(): Holding {
    this.#isBegun = false;
    this.#isPaused = false;
    this.#next = 0;
    return new Holding({
      assignment: { topic: INGESTION_TOPIC, partition: 0, generation: 1 },
      topicName: INGESTION_TOPIC,
      recordsMax: 4,
      session: this.partition,
      onRecords: (records) => this.#take(records),
      onReset: () => {
        if (!this.partition.hasMoved) this.faults.push('a reset');
        this.#holding.end();
        this.#holding = this.#assigned();
      },
    });
  }

  #take(records: readonly LogRecord[]): void {
    if (this.#isPaused) this.faults.push('records while paused');
    for (const { offset } of records) {
      while (isMark(this.#next)) this.#next++;
      if (offset !== this.#next) this.faults.push(`offset ${offset} instead of ${this.#next}`);
      this.#next = offset + 1;
    }
    if (this.#random.chance(0.2)) this.#pause();
    if (this.#random.chance(0.1)) this.#rewind();
  }
}

void t.test('however it is paused, resumed and rewound, a partition is read without a gap', async (t) => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const run = new Run(seed);
    for (let step = 0; step < 100; step++) await run.step();
    for (let round = 0; round < 200 && !run.isDone; round++) {
      run.begin();
      run.resume();
      await nextTurn();
      run.partition.fetch(12);
      run.partition.answer();
      await run.handOn();
    }
    if (run.isDone && run.faults.length === 0) continue;
    t.fail(`seed ${seed}`, { isDone: run.isDone, faults: run.faults });
    return;
  }
  t.pass();
});
