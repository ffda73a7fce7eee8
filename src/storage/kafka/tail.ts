/** A reader without a group that anybody knows: a group of its own for as long as it reads. */
import type { LogRecord, PartitionOffsets, Subscriber, TopicPartition } from '../event-log.ts';
import type { Topic } from '../topics.ts';

interface TailOptions {
  readonly group: string;
  readonly topics: readonly Topic[];
  readonly recordsMax: number;
  /** Where each topic ends now. */
  readonly ends: ReadonlyMap<Topic, readonly PartitionOffsets[]>;
  readonly onRecords: (records: readonly LogRecord[]) => void;
}

/** Reads on from where it was when the group is lost in between. A handler that throws ends the tail, with an error in the log. */
export function tailSubscriber({ group, topics, recordsMax, ends, onRecords }: TailOptions): Subscriber {
  const positions = new Map<string, number>();
  const keyOf = ({ topic, partition }: TopicPartition): string => `${topic} ${partition}`;
  for (const [topic, partitions] of ends) {
    for (const { partition, end } of partitions) positions.set(keyOf({ topic, partition }), end);
  }
  return {
    group,
    topics,
    recordsMax,
    onAssign: (assignment) => Promise.resolve(positions.get(keyOf(assignment)) ?? 0),
    onRevoke() {},
    onRecords(assignment, records) {
      positions.set(keyOf(assignment), (records.at(-1)?.offset ?? -1) + 1);
      onRecords(records);
    },
    onError(error) {
      throw error;
    },
  };
}
