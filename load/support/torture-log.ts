/** Reads the log of a process that is dead: what has come to it since the last time, and how far it was loaded. */

import { LOADER_GROUP } from '../../src/loader/loader.ts';
import { Partition } from '../../src/storage/embedded/log-partition.ts';
import { RecentChunks } from '../../src/storage/embedded/log-recent.ts';
import { type LogStore, openStore } from '../../src/storage/embedded/log-store.ts';
import type { LogRecord } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC, type Topic } from '../../src/storage/topics.ts';
import {
  DEAD_LETTERS,
  type Ingested,
  ingestedOf,
  type Produced,
  producedOf,
  ROWS,
  type Source,
  sourceOfDeadLetter,
} from './torture-records.ts';

export interface LogNews {
  readonly ingested: readonly Ingested[];
  readonly produced: readonly Produced[];
  /** Rows that were produced and are not committed by the loader. */
  readonly notLoaded: readonly Produced[];
  /** Sources of dead letters. */
  readonly deadLetters: readonly Source[];
}

const RECORDS_PER_READ = 1_000;
const BYTES_PER_READ = 8 * 1024 * 1024;

export class DeadLog {
  readonly #dir: string;
  readonly #partitions: number;
  /** Topic and partition: the offset that is read next. */
  readonly #positions = new Map<string, number>();
  #notLoaded: readonly Produced[] = [];

  constructor(dir: string, partitions: number) {
    this.#dir = dir;
    this.#partitions = partitions;
  }

  /** Nothing else may have the log open. */
  async read(): Promise<LogNews> {
    const store = await openStore(this.#dir, this.#partitions);
    try {
      const ingested = [...this.#news(store, INGESTION_TOPIC)].map(ingestedOf);
      const produced = [...this.#news(store, ROWS)].map(producedOf);
      const deadLetters = [...this.#news(store, DEAD_LETTERS)].map(sourceOfDeadLetter);
      const loaded = (partition: number) =>
        Number(store.state.get(['commit', LOADER_GROUP, ROWS, partition]) ?? 0);
      this.#notLoaded = [...this.#notLoaded, ...produced].filter(
        ({ partition, offset }) => offset >= loaded(partition),
      );
      return { ingested, produced, deadLetters, notLoaded: this.#notLoaded };
    } finally {
      await store.close();
    }
  }

  *#news(store: LogStore, topic: Topic): Generator<LogRecord> {
    const recent = new RecentChunks(0);
    for (let index = 0; index < this.#partitions; index++) {
      const key = `${topic} ${index}`;
      const partition = new Partition(store, recent, topic, index);
      let position = this.#positions.get(key) ?? 0;
      if (partition.first > position)
        throw new Error(`${key} lost records ${position} to ${partition.first - 1} unread`);
      while (position < partition.end) {
        for (const record of partition.read(position, RECORDS_PER_READ, BYTES_PER_READ)) {
          yield record;
          position = record.offset + 1;
        }
      }
      this.#positions.set(key, position);
    }
  }
}
