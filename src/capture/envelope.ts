/** Puts a valid event into the record in which the worker finds it. */
import { type CapturedEvent, captureKey } from '../event/captured.ts';
import type { EventUuid, Token } from '../event/ids.ts';
import type { JsonObject } from '../event/json.ts';
import { eventTime } from '../event/timestamp.ts';
import type { AppendRecord } from '../storage/event-log.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';
import type { ValidEvent } from './validate.ts';

/** What all events of a request share. */
export interface RequestFacts {
  readonly token: Token;
  readonly ip: string;
  /** Milliseconds since the epoch, and the same as RFC 3339 text. */
  readonly now: number;
  readonly nowText: string;
  readonly sentAt: number | undefined;
  readonly isHistorical: boolean;
}

type Unset<T> = { readonly [K in keyof T]: T[K] | undefined };

const INTERNAL_IP = '127.0.0.1';

/**
 * A record's size, key and headers included, is at most its value's and this: token, distinct id and name are bounded.
 */
export const RECORD_OVERHEAD_BYTES = 4_096;

/** `raw`: the event as the client sent it, scrubbed; `data`: the same as JSON text. */
export function toRecord(
  event: ValidEvent,
  uuid: EventUuid,
  raw: JsonObject,
  data: string,
  facts: RequestFacts,
): AppendRecord {
  const { token, now, nowText, sentAt, isHistorical } = facts;
  const { name, distinctId, properties } = event;
  const time = eventTime({
    timestamp: raw['timestamp'],
    offset: raw['offset'],
    sentAt,
    ignoreSentAt: properties['$ignore_sent_at'] === true,
    now,
  });
  const captured: Unset<CapturedEvent> = {
    uuid,
    distinct_id: distinctId,
    ip: Object.hasOwn(properties, 'capture_internal') ? INTERNAL_IP : facts.ip,
    data,
    now: nowText,
    sent_at: sentAt === undefined ? undefined : new Date(sentAt).toISOString(),
    token,
    event: name,
    timestamp: new Date(time).toISOString(),
    is_cookieless_mode: event.isCookieless || undefined,
    historical_migration: isHistorical || undefined,
  };
  const headers: Record<string, string> = {
    token,
    distinct_id: distinctId,
    event: name,
    uuid,
    timestamp: String(time),
    now: nowText,
  };
  if (isHistorical) headers['historical_migration'] = 'true';
  return {
    topic: INGESTION_TOPIC,
    key: captureKey(token, distinctId),
    value: JSON.stringify(captured),
    headers,
    timestamp: now,
  };
}
