/** Reads topics from their beginning. A member of a group of its own; what is delivered twice counts once. */
import type { Assignment, EventLog, LogRecord, Subscription } from '../../src/storage/event-log.ts';
import type { Topic } from '../../src/storage/topics.ts';

const RECORDS_MAX = 500;

export class TopicReader {
  /** Why it no longer reads, if so. */
  stopped: string | undefined;
  readonly #log: EventLog;
  readonly #group: string;
  readonly #topics: readonly Topic[];
  /** Offset that comes next, by topic and partition. */
  readonly #next = new Map<string, number>();
  #subscription: Subscription | undefined;

  constructor(log: EventLog, group: string, topics: readonly Topic[]) {
    this.#log = log;
    this.#group = group;
    this.#topics = topics;
  }

  async open(onRecord: (topic: Topic, record: LogRecord) => void): Promise<void> {
    this.#subscription = await this.#log.subscribe({
      group: this.#group,
      topics: this.#topics,
      recordsMax: RECORDS_MAX,
      onAssign: async (assignment) => this.#next.get(placeOf(assignment)) ?? 0,
      onRevoke() {},
      onRecords: (assignment, records) => {
        const next = this.#next.get(placeOf(assignment)) ?? 0;
        for (const record of records) {
          if (record.offset < next) continue;
          onRecord(assignment.topic, record);
          this.#next.set(placeOf(assignment), record.offset + 1);
        }
      },
      onError: (error) => {
        this.stopped = error.message;
      },
    });
  }

  /** Whether it has read everything that the log has. */
  async hasAll(): Promise<boolean> {
    for (const topic of this.#topics) {
      for (const { partition, first, end } of await this.#log.offsets(topic)) {
        if (end > first && (this.#next.get(placeOf({ topic, partition })) ?? 0) < end) return false;
      }
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#subscription?.close();
  }
}

const placeOf = ({ topic, partition }: Pick<Assignment, 'topic' | 'partition'>): string =>
  `${topic} ${partition}`;
