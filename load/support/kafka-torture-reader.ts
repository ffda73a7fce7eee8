/** Reads along with a cluster: every event in the log, and what the workers made of each, as torture follows it. */
import type { EventLog } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { TopicReader } from './topic-reader.ts';
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

export class KafkaTortureReader {
  readonly records = new Map<Source, Ingested>();
  readonly rows: Produced[] = [];
  readonly deadLetters: Source[] = [];
  readonly #reader: TopicReader;

  private constructor(reader: TopicReader) {
    this.#reader = reader;
  }

  static async open(log: EventLog): Promise<KafkaTortureReader> {
    const topics = new TopicReader(log, 'torture', [INGESTION_TOPIC, ROWS, DEAD_LETTERS]);
    const reader = new KafkaTortureReader(topics);
    await topics.open((topic, record) => {
      if (topic === ROWS) reader.rows.push(producedOf(record));
      else if (topic === DEAD_LETTERS) reader.deadLetters.push(sourceOfDeadLetter(record));
      else {
        const event = ingestedOf(record);
        // Most of its bytes, and nobody asks for them.
        const { note: _note, ...properties } = event.properties;
        reader.records.set(event.source, { ...event, properties });
      }
    });
    return reader;
  }

  /** Why it no longer reads, if so. */
  get stopped(): string | undefined {
    return this.#reader.stopped;
  }

  /** Whether it has read everything that the log has. */
  hasAll(): Promise<boolean> {
    return this.#reader.hasAll();
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
