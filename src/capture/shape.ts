/** The forms in which events come in one body, made one. */
import { isJsonObject, type Json, type JsonObject } from '../event/json.ts';
import { Refusal } from './refusal.ts';

export interface Batch {
  /** The body is one event and nothing around it. */
  readonly isSingle: boolean;
  readonly events: readonly Json[];
  /** The token beside the events; one inside of an event is not looked for here. */
  readonly token: Json | undefined;
  readonly sentAt: Json | undefined;
  readonly isHistorical: boolean;
  /** What the client's words for an event, or a refusal, make of it; without it they are the event. */
  readonly toEvent?: (sent: JsonObject, index: number) => JsonObject | Refusal;
}

/** An array of events, `{api_key | token, batch: [...], sent_at?, historical_migration?}`, or one event. */
export function shapeOf(body: Json): Batch | Refusal {
  if (isArray(body)) {
    return { isSingle: false, events: body, token: undefined, sentAt: undefined, isHistorical: false };
  }
  if (!isJsonObject(body)) {
    return new Refusal(
      'malformed_body',
      'the body is neither an event, an array of events nor {"api_key", "batch"}',
    );
  }
  const events = body['batch'];
  if (isArray(events)) {
    return {
      isSingle: false,
      events,
      token: body['token'] ?? body['api_key'],
      sentAt: body['sent_at'],
      isHistorical: body['historical_migration'] === true,
    };
  }
  if (events !== undefined && body['event'] === undefined) {
    return new Refusal('malformed_body', '"batch" is not an array of events');
  }
  return { isSingle: true, events: [body], token: undefined, sentAt: body['sent_at'], isHistorical: false };
}

export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
