/** The dead letters: what ClickHouse keeps of them, and which of them went back into the log. */
import { type Revival, type Revived, revive } from '../event/dead-letter.ts';
import { decodeCaptured } from '../event/event.ts';
import { asToken, type Token } from '../event/ids.ts';
import { clickHouseMicros } from '../event/timestamp.ts';
import { LIMITS } from '../limits.ts';
import type { ClickHouse } from '../storage/clickhouse-port.ts';
import {
  keyText,
  type LetterKey,
  type Replay,
  readReplays,
  readTokens,
} from '../storage/postgres/dead-letters.ts';
import type { Postgres } from '../storage/postgres/pool.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';

/** Which dead letters; all of what is given has to be true. */
export interface LetterFilter {
  readonly reason?: string;
  readonly sinceMs?: number;
  /** Exclusive. */
  readonly untilMs?: number;
  /** Of events, or of dead letters. */
  readonly uuids?: readonly string[];
}

export interface DeadLetter {
  readonly id: string;
  readonly event_uuid: string;
  /** When it was given up, `yyyy-MM-dd HH:mm:ss.SSSSSS` in UTC. */
  readonly at: string;
  readonly reason: string;
  readonly stage: string;
  readonly event: string;
  readonly distinct_id: string;
  readonly team_id: string;
  /** `topic:partition:offset` of the record that failed, what was wrong, and the ingestion record that it was made of. */
  readonly tags: readonly string[];
  readonly raw_payload: string;
}

/** Where an event's new record is; `partition` null: it may or may not be in the log. */
export interface ReplayRecord {
  /** ISO 8601, UTC. */
  readonly noted_at: string;
  readonly partition: number | null;
  readonly offset: number | null;
}

export interface ListedLetter extends Omit<DeadLetter, 'raw_payload' | 'tags'> {
  /** What was wrong. */
  readonly detail: string;
  /** `topic:partition:offset`: its ingestion record, where that is known. */
  readonly source: string;
  readonly replay: ReplayRecord | null;
}

export interface LetterList {
  /** Of all that the filter finds, by reason. */
  readonly counts: Readonly<Record<string, number>>;
  /** The newest, the last one first. */
  readonly letters: readonly ListedLetter[];
}

export interface ShownLetter extends ListedLetter {
  readonly raw_payload: string;
  /** Whether ClickHouse has the event's row. */
  readonly has_row: boolean;
  /** Why it cannot go back; null: it can, unless it did. */
  readonly impossible: string | null;
}

/** A dead letter with all that decides whether it goes back. */
export interface Judged {
  readonly letter: DeadLetter;
  readonly key: LetterKey;
  readonly replay: Replay | undefined;
  readonly revival: Revival;
  readonly hasRow: boolean;
}

/** `topic:partition:offset` of the ingestion record: an event's own row has it as its origin. */
const RECORD = `splitByChar(':', if(startsWith(tags[1], '${INGESTION_TOPIC}:'), tags[1], tags[3]))`;
const PLACE = `(toUInt32OrZero(${RECORD}[2]), toUInt64OrZero(${RECORD}[3]), id)`;
const HEAD = `toString(id) AS id, toString(event_uuid) AS event_uuid, toString(error_timestamp) AS at, error AS reason,
  error_location AS stage, event, distinct_id, toString(team_id) AS team_id, tags`;

/** Conditions stand inside, where no alias hides a column. */
function from(filter: LetterFilter, more: readonly string[] = []): string {
  const all = [...conditions(filter), ...more];
  const where = all.length === 0 ? '' : `WHERE ${all.join(' AND ')}`;
  return `FROM (SELECT *, ${PLACE} AS place FROM events_dead_letter_queue FINAL ${where})`;
}

const timeLiteral = (epochMs: number): string => `toDateTime64('${clickHouseMicros(epochMs)}', 6, 'UTC')`;

function conditions({ reason, sinceMs, untilMs, uuids }: LetterFilter): string[] {
  const list = uuids?.map((uuid) => `'${uuid}'`).join(', ');
  return [
    ...(reason === undefined ? [] : [`error = '${reason}'`]),
    ...(sinceMs === undefined ? [] : [`error_timestamp >= ${timeLiteral(sinceMs)}`]),
    ...(untilMs === undefined ? [] : [`error_timestamp < ${timeLiteral(untilMs)}`]),
    ...(list === undefined ? [] : [`(id IN (${list}) OR event_uuid IN (${list}))`]),
  ];
}

export class DeadLetters {
  readonly #clickhouse: Pick<ClickHouse, 'query'>;
  readonly #postgres: Postgres;

  /** `filter` of its methods: checked, it becomes a part of statements. */
  constructor(clickhouse: Pick<ClickHouse, 'query'>, postgres: Postgres) {
    this.#clickhouse = clickhouse;
    this.#postgres = postgres;
  }

  async list(filter: LetterFilter, limit: number): Promise<LetterList> {
    const counts = await this.#rows<{ reason: string; letters: string }>(
      `SELECT error AS reason, toString(count()) AS letters ${from(filter)} GROUP BY reason ORDER BY reason`,
    );
    const letters = await this.#rows<Omit<DeadLetter, 'raw_payload'>>(
      `SELECT ${HEAD} ${from(filter)} ORDER BY error_timestamp DESC, place DESC LIMIT ${limit}`,
    );
    const replays = await readReplays(this.#postgres, letters.map(keyOf));
    return {
      counts: Object.fromEntries(counts.map(({ reason, letters: count }) => [reason, Number(count)])),
      letters: letters.map((letter) => listed(letter, replays.get(keyText(keyOf(letter))))),
    };
  }

  async show(uuid: string): Promise<readonly ShownLetter[]> {
    const judged = await this.judge(await this.page({ uuids: [uuid] }, undefined));
    return judged.map(({ letter, replay, revival, hasRow }) => ({
      ...listed(letter, replay),
      raw_payload: letter.raw_payload,
      has_row: hasRow,
      impossible: 'impossible' in revival ? revival.impossible : null,
    }));
  }

  /** In the order of the log; `after`: `placeOf` the last one of the page before. */
  page(filter: LetterFilter, after: LetterPlace | undefined): Promise<readonly DeadLetter[]> {
    const more =
      after === undefined ? [] : [`${PLACE} > (${after.partition}, ${after.offset}, toUUID('${after.id}'))`];
    return this.#rows(
      `SELECT ${HEAD}, raw_payload ${from(filter, more)} ORDER BY place LIMIT ${LIMITS.deadLetters.replayMax}`,
    );
  }

  async judge(letters: readonly DeadLetter[]): Promise<readonly Judged[]> {
    const keys = letters.map(keyOf);
    const replays = await readReplays(this.#postgres, keys);
    const tokens = await readTokens(this.#postgres, [
      ...new Set(letters.map(({ team_id }) => Number(team_id))),
    ]);
    const revivals = letters.map((letter) => revivalOf(letter, tokens.get(Number(letter.team_id))));
    const rows = await this.#rowsOf(revivals);
    return letters.map((letter, index) => {
      const key = keyOf(letter);
      return {
        letter,
        key,
        replay: replays.get(keyText(key)),
        revival: revivals[index] ?? { impossible: '' },
        hasRow: rows.has(eventKey(letter.event_uuid, letter.event, letter.distinct_id)),
      };
    });
  }

  /** The events that have their row. */
  async #rowsOf(revivals: readonly Revival[]): Promise<ReadonlySet<string>> {
    const events = revivals.flatMap((revival) => ('impossible' in revival ? [] : [revival]));
    if (events.length === 0) return new Set();
    const uuids = events.map(({ captured }) => `'${captured.uuid}'`).join(', ');
    const times = events.map(({ timestampMs }) => Math.min(Math.max(timestampMs, YEAR_1900), YEAR_2299));
    // The table is sorted by day, not by uuid.
    const found = await this.#rows<{ uuid: string; event: string; distinct_id: string }>(
      `SELECT DISTINCT toString(e.uuid) AS uuid, event, distinct_id FROM events AS e
       WHERE timestamp >= ${timeLiteral(Math.min(...times))} AND timestamp <= ${timeLiteral(Math.max(...times))} AND e.uuid IN (${uuids})`,
    );
    return new Set(found.map(({ uuid, event, distinct_id }) => eventKey(uuid, event, distinct_id)));
  }

  async #rows<Row>(sql: string): Promise<readonly Row[]> {
    return (await this.#clickhouse.query(sql))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Row);
  }
}

function revivalOf(letter: DeadLetter, token: Token | undefined): Revival {
  const isEvent = sourceOf(letter).startsWith(`${INGESTION_TOPIC}:`);
  if (!isEvent) return { impossible: 'it is no event: what it shows is written again when it changes next' };
  const revival = revive(letter.reason, letter.raw_payload, token ?? asToken(''));
  if ('impossible' in revival) return revival;
  return token === undefined ? { impossible: `project ${letter.team_id} is gone` } : checked(revival);
}

/** What the worker could not read, or the log not take, does not go back. */
function checked(revival: Revived): Revival {
  const text = JSON.stringify(revival.captured);
  const decoded = decodeCaptured(text);
  if ('malformed' in decoded) return { impossible: decoded.malformed };
  const { eventBytesMax } = LIMITS.deadLetters;
  if (Buffer.byteLength(text) <= eventBytesMax) return revival;
  return { impossible: `it takes more than ${eventBytesMax} bytes on the log` };
}

/** ClickHouse's times reach from here to there. */
const YEAR_1900 = Date.UTC(1900);
const YEAR_2299 = Date.UTC(2299);

const eventKey = (uuid: string, event: string, distinctId: string): string =>
  JSON.stringify([uuid, event, distinctId]);

function sourceOf({ tags: [own = '', , origin = ''] }: Pick<DeadLetter, 'tags'>): string {
  return own.startsWith(`${INGESTION_TOPIC}:`) || origin === '' ? own : origin;
}

const keyOf = (letter: Pick<DeadLetter, 'tags' | 'event_uuid'>): LetterKey => ({
  source: sourceOf(letter),
  eventUuid: letter.event_uuid,
});

/** Where `page` goes on. */
export interface LetterPlace {
  readonly partition: string;
  readonly offset: string;
  readonly id: string;
}

export function placeOf(letter: Pick<DeadLetter, 'tags' | 'id'>): LetterPlace {
  const [, partition = '0', offset = '0'] = sourceOf(letter).split(':');
  return { partition, offset, id: letter.id };
}

export function replayRecord({ notedAtMs, at }: Replay): ReplayRecord {
  return {
    noted_at: new Date(notedAtMs).toISOString(),
    partition: at?.partition ?? null,
    offset: at?.offset ?? null,
  };
}

function listed(letter: Omit<DeadLetter, 'raw_payload'>, replay: Replay | undefined): ListedLetter {
  const { id, event_uuid, at, reason, stage, event, distinct_id, team_id, tags } = letter;
  return {
    id,
    event_uuid,
    at,
    reason,
    stage,
    event,
    distinct_id,
    team_id,
    detail: tags[1] ?? '',
    source: sourceOf(letter),
    replay: replay === undefined ? null : replayRecord(replay),
  };
}
