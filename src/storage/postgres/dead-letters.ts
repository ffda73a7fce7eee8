/** Which dead letters went back into the log, and what they need for it. */
import { asToken, type Token } from '../../event/ids.ts';
import type { Postgres } from './pool.ts';

/** What a dead letter is about: `topic:partition:offset` of the ingestion record, and the event in it. */
export interface LetterKey {
  readonly source: string;
  readonly eventUuid: string;
}

/** Where the event's new record is. */
export interface Place extends LetterKey {
  readonly partition: number;
  readonly offset: number;
}

export interface Replay extends LetterKey {
  readonly notedAtMs: number;
  /** `undefined`: nobody knows whether the event is in the log. */
  readonly at: { readonly partition: number; readonly offset: number } | undefined;
}

const KEYS = 'unnest($1::text[], $2::uuid[]) AS k (source, event_uuid)';
const READ = `
  SELECT r.source, r.event_uuid, r.noted_at, r.partition, r.record_offset FROM tributary_replayed AS r
  JOIN (SELECT DISTINCT source, event_uuid FROM ${KEYS}) AS k USING (source, event_uuid)`;
const NOTE = `
  INSERT INTO tributary_replayed (source, event_uuid) SELECT DISTINCT source, event_uuid FROM ${KEYS}
  ON CONFLICT DO NOTHING RETURNING source, event_uuid`;
const PLACE = `
  UPDATE tributary_replayed AS r SET partition = p.partition, record_offset = p.record_offset
  FROM unnest($1::text[], $2::uuid[], $3::int[], $4::bigint[]) AS p (source, event_uuid, partition, record_offset)
  WHERE (r.source, r.event_uuid) = (p.source, p.event_uuid)
  RETURNING r.source, r.event_uuid, r.noted_at, r.partition, r.record_offset`;
const FORGET = `
  DELETE FROM tributary_replayed AS r USING ${KEYS}
  WHERE (r.source, r.event_uuid) = (k.source, k.event_uuid) AND r.record_offset IS NULL`;
const READ_TOKENS = 'SELECT id, api_token FROM posthog_team WHERE id = ANY($1::bigint[])';

interface KeyRow {
  readonly source: string;
  readonly event_uuid: string;
}

interface ReplayRow extends KeyRow {
  readonly noted_at: Date;
  readonly partition: number | null;
  readonly record_offset: number | null;
}

export const keyText = ({ source, eventUuid }: LetterKey): string => `${source} ${eventUuid}`;

const columns = (keys: readonly LetterKey[]) => [
  keys.map(({ source }) => source),
  keys.map(({ eventUuid }) => eventUuid),
];

/** Those that went back, by `keyText`. */
export async function readReplays(
  postgres: Postgres,
  keys: readonly LetterKey[],
): Promise<ReadonlyMap<string, Replay>> {
  if (keys.length === 0) return new Map();
  return byKey((await postgres.query<ReplayRow>(READ, columns(keys))).rows);
}

function byKey(rows: readonly ReplayRow[]): ReadonlyMap<string, Replay> {
  return new Map(
    rows.map(({ source, event_uuid: eventUuid, noted_at, partition, record_offset: offset }) => {
      const at = partition === null || offset === null ? undefined : { partition, offset };
      const replay = { source, eventUuid, notedAtMs: noted_at.getTime(), at };
      return [keyText(replay), replay];
    }),
  );
}

/** Before their events go back. Gives the `keyText` of those that this call noted; the others are somebody else's. */
export async function noteReplays(
  postgres: Postgres,
  keys: readonly LetterKey[],
): Promise<ReadonlySet<string>> {
  const { rows } = await postgres.query<KeyRow>(NOTE, columns(keys));
  return new Set(rows.map(({ source, event_uuid: eventUuid }) => keyText({ source, eventUuid })));
}

/** Their events are in the log. Gives the notes by `keyText`. */
export async function placeReplays(
  postgres: Postgres,
  places: readonly Place[],
): Promise<ReadonlyMap<string, Replay>> {
  const placed = await postgres.query<ReplayRow>(PLACE, [
    ...columns(places),
    places.map(({ partition }) => partition),
    places.map(({ offset }) => offset),
  ]);
  return byKey(placed.rows);
}

/** Their events are certainly not in the log. */
export async function forgetReplays(postgres: Postgres, keys: readonly LetterKey[]): Promise<void> {
  await postgres.query(FORGET, columns(keys));
}

/** The tokens that projects have now. */
export async function readTokens(
  postgres: Postgres,
  teamIds: readonly number[],
): Promise<ReadonlyMap<number, Token>> {
  const { rows } = await postgres.query<{ id: number; api_token: string }>(READ_TOKENS, [teamIds]);
  return new Map(rows.map(({ id, api_token }) => [id, asToken(api_token)]));
}
