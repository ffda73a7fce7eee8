/**
 * The envelope in which capture puts an event on `events_plugin_ingestion`: PostHog's CapturedEvent. `data` is the
 * event as the client sent it, a JSON text inside the JSON; the envelope's fields overrule the inner ones.
 */
import type { DistinctId, EventUuid, Token } from './ids.ts';

export interface CapturedEvent {
  readonly uuid: EventUuid;
  readonly distinct_id: DistinctId;
  /** The client's address as capture saw it. */
  readonly ip: string;
  /** JSON text of the event: `{"event", "properties", "$set", …}`. */
  readonly data: string;
  /** When capture took it, RFC 3339 UTC. */
  readonly now: string;
  readonly sent_at?: string;
  readonly token: Token;
  readonly event: string;
  /** When it happened, corrected by capture (`timestamp.ts`), RFC 3339 UTC. */
  readonly timestamp: string;
  readonly is_cookieless_mode?: true;
  readonly historical_migration?: true;
}

/** Key of its record: all events of one distinct id go to one partition. */
export const captureKey = (token: Token, distinctId: DistinctId): string => `${token}:${distinctId}`;
