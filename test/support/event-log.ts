/** A subscriber and records for tests of whatever uses a log. */
import { setTimeout as delay } from 'node:timers/promises';
import type { AppendRecord, Assignment, LogRecord, Subscriber } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC, type Topic } from '../../src/storage/topics.ts';

/** For a machine that is busy with other things. */
const PATIENCE_MS = 60_000;

export function makeRecord(given: Partial<AppendRecord> = {}): AppendRecord {
  const value = Buffer.from('{"event":"tried"}');
  return { topic: INGESTION_TOPIC, key: null, value, headers: {}, timestamp: 1_700_000_000_000, ...given };
}

/** A subscriber that remembers everything and holds the log to the rules that always apply. */
export class Reader implements Subscriber {
  readonly group: string;
  readonly topics: readonly Topic[];
  readonly recordsMax: number;
  readonly records: LogRecord[] = [];
  readonly callSizes: number[] = [];
  readonly errors: Error[] = [];
  readonly generations: number[] = [];
  /** What is assigned now. */
  readonly held = new Map<string, Assignment>();
  revokes = 0;
  start: (assignment: Assignment) => Promise<number | 'committed'> | number | 'committed' = () => 'committed';
  handle: (assignment: Assignment, records: readonly LogRecord[]) => void = () => {};
  onRevoked: (assignment: Assignment) => void = () => {};

  constructor(group: string, topics: readonly Topic[], recordsMax = 1_000) {
    this.group = group;
    this.topics = topics;
    this.recordsMax = recordsMax;
  }

  assignment(partition: number, topic: Topic = INGESTION_TOPIC): Assignment {
    const assignment = this.held.get(`${topic} ${partition}`);
    if (!assignment) throw new Error(`${topic} ${partition} is not assigned`);
    return assignment;
  }

  async onAssign(assignment: Assignment): Promise<number | 'committed'> {
    const at = `${assignment.topic} ${assignment.partition}`;
    if (this.held.has(at)) throw new Error(`${at} assigned twice`);
    this.held.set(at, assignment);
    this.generations.push(assignment.generation);
    return this.start(assignment);
  }

  onRevoke(assignment: Assignment): void {
    this.revokes++;
    const held = this.held.get(`${assignment.topic} ${assignment.partition}`);
    if (held?.generation !== assignment.generation) throw new Error('revoked what it did not have');
    this.held.delete(`${assignment.topic} ${assignment.partition}`);
    this.onRevoked(assignment);
  }

  onRecords(assignment: Assignment, records: readonly LogRecord[]): void {
    this.callSizes.push(records.length);
    const held = this.held.get(`${assignment.topic} ${assignment.partition}`);
    if (held?.generation !== assignment.generation)
      throw new Error('records of a partition that is not assigned');
    for (const { topic, partition } of records) {
      if (topic !== assignment.topic || partition !== assignment.partition)
        throw new Error('a foreign record');
    }
    this.records.push(...records);
    this.handle(assignment, records);
  }

  onError(error: Error): void {
    this.errors.push(error);
  }
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`Not within ${PATIENCE_MS} ms: ${condition}`);
    await delay(2);
  }
}

export function offsetsOf(records: readonly LogRecord[]): number[] {
  return records.map(({ offset }) => offset);
}

export function emptyOffsets(partitions: number): { partition: number; first: number; end: number }[] {
  return Array.from({ length: partitions }, (_, partition) => ({ partition, first: 0, end: 0 }));
}

/** Values as plain buffers, so that a comparison looks at the bytes alone. */
export function byPartition(records: readonly LogRecord[]): Map<string, LogRecord[]> {
  const groups = new Map<string, LogRecord[]>();
  for (const record of records) {
    const at = `${record.topic} ${record.partition}`;
    const group = groups.get(at) ?? [];
    group.push({ ...record, value: Buffer.from(record.value) });
    groups.set(at, group);
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}
