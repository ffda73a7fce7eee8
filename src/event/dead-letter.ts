/** What a dead letter keeps of its event, and the way back: a record that opens as the very same event. */
import type { CapturedEvent } from './captured.ts';
import type { PipelineEvent } from './event.ts';
import { asDistinctId, parseUuid, type Token } from './ids.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import type { DeadLetterReason } from './outcome.ts';
import { isStorableTime, parseTimestamp } from './timestamp.ts';

/**
 * Headers of a record that was a dead letter before. `letter`: the dead letter's id, by which a repeat of the append is
 * known; the event's own uuid has been seen before. `mode`: a `ReplayMode`.
 */
export const REPLAY_HEADERS = { letter: 'dead_letter', mode: 'replay' } as const;

/** `fold`: the event has changed nothing yet. `row`: it was folded, and only its row is missing. */
export type ReplayMode = 'fold' | 'row';

/** How the event of a dead letter goes back, by its reason; reasons that are not here keep no whole event. */
const REPLAY_MODES: Readonly<Partial<Record<DeadLetterReason, ReplayMode>>> = {
  stage_failed: 'fold',
  merge_too_large: 'fold',
  refused_by_postgres: 'fold',
  refused_by_clickhouse: 'row',
};

/** `raw_payload` of an event that could not be folded: JSON text. `recordedAtMs`: its record's time. */
export function letterPayload(event: PipelineEvent, recordedAtMs: number): string {
  return JSON.stringify({
    uuid: event.uuid,
    event: event.name,
    distinct_id: event.distinctId,
    timestamp: timeText(event.timestampMs),
    now: timeText(event.capturedAtMs),
    recorded_at: timeText(recordedAtMs),
    ...(event.historicalMigration ? { historical_migration: true } : {}),
    properties: event.properties,
  });
}

/** The ingestion record that a dead letter's event came in, but for the form of its JSON. */
export interface Revived {
  readonly captured: CapturedEvent;
  readonly mode: ReplayMode;
  /** Milliseconds since the epoch. */
  readonly timestampMs: number;
  readonly recordedAtMs: number;
}

/** `impossible`: why the dead letter cannot go back, for its reader. */
export type Revival = Revived | { readonly impossible: string };

/** `rawPayload`: what `letterPayload` gave, or the row that ClickHouse refused. `token`: its project's. */
export function revive(reason: string, rawPayload: string, token: Token): Revival {
  const mode = Object.entries(REPLAY_MODES).find(([known]) => known === reason)?.[1];
  if (mode === undefined) return { impossible: NOT_KEPT[reason] ?? `nobody knows the reason ${reason}` };
  const kept = parseObject(rawPayload);
  if (kept === undefined) return { impossible: 'too large: only its first bytes were kept' };
  const { event, distinct_id } = kept;
  const uuid = typeof kept['uuid'] === 'string' ? parseUuid(kept['uuid']) : undefined;
  const properties = mode === 'row' ? rowProperties(kept) : kept['properties'];
  const timestampMs = timeOf(kept['timestamp']);
  const nowMs = timeOf(mode === 'row' ? kept['created_at'] : kept['now']);
  if (typeof event !== 'string' || typeof distinct_id !== 'string' || !isJsonObject(properties)) {
    return { impossible: NO_EVENT };
  }
  if (uuid === undefined || timestampMs === undefined || nowMs === undefined) return { impossible: NO_EVENT };
  return {
    mode,
    timestampMs,
    recordedAtMs: timeOf(kept['recorded_at']) ?? nowMs,
    captured: {
      uuid,
      distinct_id: asDistinctId(distinct_id),
      // What capture adds from the envelope is in the properties by now.
      ip: '',
      data: JSON.stringify({ event, properties }),
      now: timeText(nowMs),
      token,
      event,
      timestamp: timeText(timestampMs),
      ...(kept['historical_migration'] === true ? { historical_migration: true } : {}),
    },
  };
}

const NO_EVENT = 'what it keeps is not an event';

const NOT_KEPT: Readonly<Record<string, string>> = {
  malformed_record: 'its record is no event',
  row_too_large: 'only the first bytes of its row were kept',
  refused_by_log: 'the log refused its record, and would again',
  lost_by_retention: 'its record had left the log before it was read',
} satisfies Partial<Record<DeadLetterReason, string>>;

/** A row's properties are JSON text, and its elements have left them. */
function rowProperties(row: JsonObject): JsonObject | undefined {
  const { properties: text, elements_chain: chain } = row;
  const properties = typeof text === 'string' ? parseObject(text) : undefined;
  if (properties === undefined || typeof chain !== 'string' || chain === '') return properties;
  return { ...properties, $elements_chain: chain };
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const timeText = (epochMs: number): string => new Date(epochMs).toISOString();

function timeOf(value: Json | undefined): number | undefined {
  const epochMs = typeof value === 'string' ? parseTimestamp(value) : undefined;
  return epochMs !== undefined && isStorableTime(epochMs) ? epochMs : undefined;
}
