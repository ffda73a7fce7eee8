/** What becomes of a row that ClickHouse refuses: a row of `events_dead_letter_queue`. */
import { parseUuid } from '../event/ids.ts';
import { isJsonObject, type JsonObject } from '../event/json.ts';
import { deadLetterRow } from '../event/rows.ts';
import { scrubText } from '../event/scrub.ts';
import { deriveRecordUuid } from '../ids.ts';
import { LIMITS } from '../limits.ts';
import { rawPayload } from '../raw-payload.ts';
import type { AppendRecord, LogRecord } from '../storage/event-log.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';

/** `detail`: ClickHouse's words. The same record gives a row of the same id. */
export function deadLetterOf(record: LogRecord, detail: string, atMs: number): AppendRecord {
  const { topic, partition, offset, value, headers } = record;
  const id = deriveRecordUuid(topic, partition, offset);
  const row = objectIn(value);
  const origin = headers['source'];
  const letter = deadLetterRow({
    id,
    reason: 'refused_by_clickhouse',
    stage: 'loader',
    detail: scrubText(detail.slice(0, LIMITS.loader.refusalCharsMax)),
    source: `${topic}:${partition}:${offset}`,
    ...(origin === undefined ? {} : { origin: `${INGESTION_TOPIC}:${origin}` }),
    eventUuid: parseUuid(text(row['uuid'])),
    eventName: text(row['event']),
    distinctId: text(row['distinct_id']),
    teamId: Number.isSafeInteger(row['team_id']) ? Number(row['team_id']) : 0,
    rawPayload: rawPayload(value, LIMITS.worker.deadLetterPayloadBytesMax),
    atMs,
  });
  return {
    topic: 'events_dead_letter_queue',
    key: id,
    value: Buffer.from(letter),
    headers: {},
    timestamp: atMs,
  };
}

function objectIn(value: Uint8Array): JsonObject {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(value));
    return isJsonObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

const text = (value: unknown): string =>
  typeof value === 'string' ? scrubText(value.slice(0, LIMITS.capture.eventNameCharsMax)) : '';
