/** What is in ClickHouse in the end: everything that was produced, the right row of each event, everybody at home. */
import { asDistinctId } from '../../src/event/ids.ts';
import { LOADER_GROUP } from '../../src/loader/loader.ts';
import { CLICKHOUSE_TABLES } from '../../src/storage/clickhouse/tables.ts';
import type { LogRecord } from '../../src/storage/event-log.ts';
import { CLICKHOUSE_TOPICS, type Topic } from '../../src/storage/topics.ts';
import type { Ran } from './run.ts';
import type { Row } from './sim-clickhouse.ts';
import { identityKey } from './sim-store.ts';
import { TEAM, uuidFor, type World } from './world.ts';

export function checkTables({ world, settled, plan }: Ran): string[] {
  if (!settled) return [];
  return [...checkLoaded(world), ...(plan.canLose ? [] : checkWinners(world))];
}

/** Once all was settled, somebody who had lost a partition may still have produced rows while it was being stopped. */
const loaded = ({ log }: World, topic: Topic) => log.consumed(LOADER_GROUP, topic);

/** Every record is in its table, as it is, and nothing else is. */
function checkLoaded(world: World): string[] {
  const { log, clickhouse } = world;
  return CLICKHOUSE_TOPICS.flatMap((topic) => {
    const records = new Set(log.readAll(topic).map(recordText));
    const rows = new Set(clickhouse.texts(CLICKHOUSE_TABLES[topic]).map(rowText));
    const missing = loaded(world, topic)
      .map(recordText)
      .filter((text) => !rows.has(text));
    const foreign = [...rows].filter((text) => !records.has(text));
    return [
      ...missing.map((text) => `${text} of ${topic} was never inserted`),
      ...foreign.map((text) => `${text} was inserted, and is not in ${topic}`),
    ];
  });
}

/** The row without what the loader has added, and its offset. */
function rowText(text: string): string {
  const added = text.lastIndexOf(',"_timestamp":');
  const [, offset] = /"_offset":(\d+)/.exec(text.slice(added)) ?? [];
  return `${offset} ${text.slice(0, added)}}`;
}

const recordText = ({ offset, value }: LogRecord): string => `${offset} ${Buffer.from(value)}`;

/** Of each event the row with the latest time is kept, and whom it leads to is whom its id belongs to. */
function checkWinners(world: World): string[] {
  const { clickhouse, store } = world;
  const failures: string[] = [];
  const produced = new Map<string, number>();
  for (const { value, timestamp } of loaded(world, 'clickhouse_events_json')) {
    const key = eventKey(JSON.parse(Buffer.from(value).toString()));
    produced.set(key, Math.max(produced.get(key) ?? 0, Math.floor(timestamp / 1000)));
  }
  const ids = clickhouse.merged('person_distinct_id2', ({ distinct_id }) => String(distinct_id), 'version');
  for (const [key, row] of clickhouse.merged('events', eventKey, '_timestamp')) {
    if (row['_timestamp'] !== produced.get(key)) {
      failures.push(`of ${key} the row of ${row['_timestamp']} is kept, not that of ${produced.get(key)}`);
    }
    const distinctId = String(row['distinct_id']);
    const override = ids.get(distinctId);
    const led = Number(override?.['version'] ?? 0) > 0 ? override?.['person_id'] : row['person_id'];
    const home = store.ids.get(identityKey({ teamId: TEAM, distinctId: asDistinctId(distinctId) }))?.person;
    if (led !== (home ?? uuidFor(distinctId))) failures.push(`in ClickHouse ${distinctId} leads to ${led}`);
  }
  return failures;
}

const eventKey = ({ uuid, event, distinct_id }: Row): string => `${uuid} ${event} ${distinct_id}`;
