/** What comes out: persons in Postgres, messages on the topics. */
import type { JsonObject } from '../../src/event/json.ts';
import type { EventLog } from '../../src/storage/event-log.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import type { ClickHouseTopic } from '../../src/storage/topics.ts';
import { recordsOf } from '../support/clickhouse-rows.ts';

export type Row = Readonly<Record<string, unknown>>;

/** A person as Postgres has it. */
export interface PersonSeen {
  /** Its distinct ids in order, with blanks between them. */
  readonly ids: string;
  readonly uuid: string;
  readonly is_identified: boolean;
  readonly version: number;
  readonly created_at: string;
  /** All but `$creator_event_uuid`, which every person has. */
  readonly properties: JsonObject;
  /** Uuid of the event that made the person. */
  readonly creator: unknown;
}

/** In the order of their ids. */
export async function personsIn(postgres: Postgres): Promise<readonly PersonSeen[]> {
  const { rows } = await postgres.query<Omit<PersonSeen, 'creator'>>(PERSONS);
  return rows.map((row) => {
    const { $creator_event_uuid: creator, ...properties } = row.properties;
    return { ...row, properties, creator };
  });
}

const PERSONS = `
  SELECT p.uuid, p.is_identified, p.version::int AS version, p.properties,
    to_char(p.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS created_at,
    coalesce(string_agg(d.distinct_id, ' ' ORDER BY d.distinct_id COLLATE "C"), '') COLLATE "C" AS ids
  FROM posthog_person p LEFT JOIN posthog_persondistinctid d ON d.person_id = p.id
  GROUP BY p.id ORDER BY 6`;

/** The messages of a topic as they were sent, JSON texts in them parsed. */
export async function messagesOn(log: EventLog, topic: ClickHouseTopic): Promise<readonly Row[]> {
  const records = await recordsOf(log, topic);
  return records
    .toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
    .map(({ value }) => parsed(JSON.parse(Buffer.from(value).toString('utf8'))));
}

/** Fields of messages that hold JSON as text. */
const JSON_TEXT = /^(details|(person_|group_|group\d_)?properties)$/;

const parsed = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'string' && JSON_TEXT.test(name) ? JSON.parse(value) : value,
    ]),
  );

/** For a machine that is busy with other things. */
const DEADLINE_MS = 60_000;
const POLL_MS = 10;

/** Asks until it is so. `what`: what was waited for, for the error. */
export async function until(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) {
      throw new Error(`not within ${DEADLINE_MS} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
