/** Capture V1's answers: one result for each event, or an error with a tag. */
import type { RefusalReason } from '../event/outcome.ts';
import { LIMITS } from '../limits.ts';
import type { Taken } from './events.ts';
import type { Answer } from './exchange.ts';
import type { Refusal } from './refusal.ts';

const JSON_TYPE = 'application/json';

/** V1's own tags for what v0 says in words. Reasons that are not here are their own tags. */
const TAGS: Readonly<Partial<Record<RefusalReason, string>>> = {
  malformed_body: 'request_parsing_error',
  missing_uuid: 'missing_event_uuid',
  invalid_uuid: 'invalid_event_uuid',
  duplicate_uuid: 'duplicate_event_uuid',
  missing_token: 'missing_authorization',
  invalid_token: 'invalid_api_token',
  unknown_token: 'invalid_api_token',
  body_too_large: 'payload_too_large',
  too_many_events: 'payload_too_large',
  overloaded: 'service_unavailable',
  log_full: 'service_unavailable',
  log_unavailable: 'service_unavailable',
};

const ERROR_URI = 'https://posthog.com/docs/api/capture';

/**
 * `uuids`: as the client wrote them, in the batch's order. Without `results` the Python SDK would report its events lost.
 * Never `retry`: either all events are durable, or the whole request is to be sent again.
 */
export function results(
  uuids: readonly string[],
  { refused }: Taken,
  headers: Readonly<Record<string, string>>,
): Answer {
  const entries = uuids.map((uuid, index) => {
    const refusal = refused.get(index);
    return [
      uuid,
      refusal === undefined ? { result: 'ok' } : { result: 'drop', details: refusal.text },
    ] as const;
  });
  const body = JSON.stringify({ results: Object.fromEntries(entries) });
  return { status: '200 OK', type: JSON_TYPE, body, headers };
}

export function v1Error(refusal: Refusal, headers: Readonly<Record<string, string>>): Answer {
  const { status, reason, text, closes } = refusal;
  const body = { error: TAGS[reason] ?? reason, error_description: text, error_uri: ERROR_URI };
  const retry = status.startsWith('5') ? { 'Retry-After': String(LIMITS.capture.retryAfterSeconds) } : {};
  return {
    status,
    type: JSON_TYPE,
    body: JSON.stringify(body),
    headers: { ...headers, ...retry },
    closes,
  };
}
