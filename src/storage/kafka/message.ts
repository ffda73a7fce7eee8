/** A record as kafkajs takes it, and how many bytes it has on Kafka. */
import type { Message } from 'kafkajs';
import type { AppendRecord } from '../event-log.ts';

export interface PlacedRecord {
  readonly record: AppendRecord;
  /** Name of the topic on Kafka. */
  readonly topicName: string;
  readonly partition: number;
}

export function toMessage({ record, partition }: PlacedRecord): Message {
  const { key, value, headers, timestamp } = record;
  return {
    key,
    value: typeof value === 'string' ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
    // kafkajs only reads them.
    headers: headers as Record<string, string>,
    timestamp: String(timestamp),
    partition,
  };
}

/** Lengths and varints of a record and of each header, at most. */
const RECORD_OVERHEAD_BYTES = 32;
const HEADER_OVERHEAD_BYTES = 10;

export function messageBytes({ key, value, headers }: Message): number {
  let bytes = RECORD_OVERHEAD_BYTES + Buffer.byteLength(value ?? '') + Buffer.byteLength(key ?? '');
  for (const name in headers) {
    const header = headers[name];
    bytes += HEADER_OVERHEAD_BYTES + Buffer.byteLength(name);
    if (typeof header === 'string') bytes += Buffer.byteLength(header);
  }
  return bytes;
}
