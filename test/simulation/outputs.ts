/** What the worker has put on the output topics, parsed, and where each message came from. */
import type { Topic } from '../../src/storage/topics.ts';
import type { World } from './world.ts';

export interface EventRow {
  /** Place among everything that the log took. */
  readonly place: number;
  /** When the log took it, from the beginning. */
  readonly arrivedMs: number;
  /** `partition:offset` of its record. */
  readonly source: string;
  readonly timestampMs: number;
  readonly uuid: string;
  readonly distinct_id: string;
  readonly person_id: string;
  /** JSON text. */
  readonly person_properties: string;
  readonly person_mode: 'full' | 'propertyless' | 'force_upgrade';
}

export interface PersonRow {
  /** Place among everything that the log took. */
  readonly place: number;
  readonly id: string;
  /** JSON text. */
  readonly properties: string;
  readonly is_identified: 0 | 1;
  readonly is_deleted: 0 | 1;
  readonly version: number;
}

export interface MappingRow {
  readonly distinct_id: string;
  readonly person_id: string;
  readonly version: number;
}

export interface GroupRow {
  readonly group_type_index: number;
  readonly group_key: string;
  /** JSON text. */
  readonly group_properties: string;
  readonly version: number;
}

export interface DeadLetter {
  /** `partition:offset` of its record. */
  readonly source: string;
  readonly error: string;
}

export const isTooLarge = ({ error }: DeadLetter): boolean => error === 'merge_too_large';

/** Each in the order in which the log took them. */
export interface Outputs {
  readonly rows: readonly EventRow[];
  readonly persons: readonly PersonRow[];
  readonly mappings: readonly MappingRow[];
  readonly groups: readonly GroupRow[];
  readonly deadLetters: readonly DeadLetter[];
}

export function outputsOf({ log }: World): Outputs {
  const read = <Row>(topic: Topic): readonly Row[] =>
    log.arrivals(topic).map(({ record: { value } }) => JSON.parse(Buffer.from(value).toString()));
  return {
    rows: log
      .arrivals('clickhouse_events_json')
      .map(({ record: { value, headers, timestamp }, place, atMs }) => ({
        ...JSON.parse(Buffer.from(value).toString()),
        place,
        source: headers['source'] ?? '',
        timestampMs: timestamp,
        arrivedMs: atMs,
      })),
    persons: log.arrivals('clickhouse_person').map(({ record: { value }, place }) => ({
      ...JSON.parse(Buffer.from(value).toString()),
      place,
    })),
    mappings: read('clickhouse_person_distinct_id'),
    groups: read('clickhouse_groups'),
    deadLetters: read<{ tags: readonly string[]; error: string }>('events_dead_letter_queue').map(
      ({ tags, error }) => ({ source: (tags[0] ?? '').split(':').slice(1).join(':'), error }),
    ),
  };
}

/** Names of those rows of which there are two of one version that say different things. */
export function ambiguous<Row extends { readonly version: number }>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
): readonly string[] {
  const texts = new Map<string, string>();
  return rows.flatMap((row) => {
    const name = `${keyOf(row)} of version ${row.version}`;
    const text = canonical({ ...row, place: undefined });
    const before = texts.get(name) ?? text;
    texts.set(name, text);
    return before === text ? [] : [name];
  });
}

/** The row that ClickHouse keeps of each: the one with the highest version. */
export function newest<Row extends { readonly version: number }>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
): ReadonlyMap<string, Row> {
  const kept = new Map<string, Row>();
  for (const row of rows) {
    const before = kept.get(keyOf(row));
    if (before === undefined || row.version >= before.version) kept.set(keyOf(row), row);
  }
  return kept;
}

/** JSON text with the keys in order, so that equal values have equal texts. */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'nothing';
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join()}}`;
}
