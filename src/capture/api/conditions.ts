/** Each way in which a request with events can end, and what its sender then does: for the documentation. */
import { REFUSAL_REASONS, type RefusalReason } from '../../event/outcome.ts';
import { Refusal } from '../refusal.ts';

/** When a request is refused. */
export const REFUSED_WHEN: Readonly<Record<RefusalReason, string>> = {
  malformed_body: 'the body is no JSON, or no event, array or batch of events',
  empty_body: 'there is no body',
  empty_batch: 'the batch holds no event',
  too_many_events: 'the batch holds too many events',
  too_deep: 'an event is nested too deep',
  too_many_keys: 'an event has too many keys and array elements',
  missing_event_name: 'an event has no name',
  invalid_event_name: "an event's name is not a string",
  missing_distinct_id: 'an event has no distinct id (Segment: neither `userId` nor `anonymousId`)',
  invalid_uuid: "an event's `uuid` is none",
  missing_uuid: 'V1: an event has no `uuid`',
  duplicate_uuid: 'V1: two events have one `uuid`',
  invalid_properties: '`properties` is not an object',
  invalid_cookieless_mode: '`$cookieless_mode` is not a boolean',
  invalid_options: 'V1: `options`, or a member of it, is of a wrong type',
  unknown_message_type: "Segment: a message's `type` is none of Segment's",
  missing_token: 'there is no token',
  invalid_token: 'the token cannot be one: empty, too long, a personal API key, …',
  several_tokens: 'the events have different tokens',
  unknown_token: 'no project has this token',
  body_too_large: 'the body is too large, as it came or decoded',
  event_too_large: 'an event is too large for the log',
  unsupported_encoding: 'the body is in an encoding that is not known here',
  unsupported_content_type: 'V1: the content type is not JSON',
  overloaded: 'too much is being taken in at this moment, or the server stops',
  log_full: 'the log is full',
  log_unavailable: 'the log did not confirm the events',
  internal_error: 'a fault of the server',
};

/** Refusals of one event. V1 refuses that event alone, with a 200 and the result `drop`. */
export const OF_ONE_EVENT: ReadonlySet<RefusalReason> = new Set([
  'too_deep',
  'too_many_keys',
  'missing_event_name',
  'invalid_event_name',
  'missing_distinct_id',
  'invalid_properties',
  'invalid_cookieless_mode',
  'invalid_options',
  'event_too_large',
]);

/** `400 Bad Request`. */
export const statusOf = (reason: RefusalReason): string => new Refusal(reason, '').status;

/** The reasons for each status, in the order of the statuses. */
export function reasonsByStatus(): ReadonlyMap<string, readonly RefusalReason[]> {
  const byStatus = new Map<string, RefusalReason[]>();
  for (const reason of REFUSAL_REASONS) {
    const status = statusOf(reason);
    byStatus.set(status, [...(byStatus.get(status) ?? []), reason]);
  }
  return new Map([...byStatus].sort(([a], [b]) => a.localeCompare(b)));
}

export const CLIENTS = [
  'posthog-js',
  'posthog-node',
  'posthog-python',
  'V1 (node, python)',
  'Segment',
] as const;

const DROPPED = 'drops the events';
const AGAIN = 'sends again';

/** What each client of `CLIENTS` does at a status of an answer to events, as seen on the wire. */
export const REACTIONS: Readonly<Record<string, readonly [string, string, string, string, string]>> = {
  '200': ['done', 'done', 'done', 'reads the result of each event', 'done'],
  '400': [DROPPED, DROPPED, DROPPED, DROPPED, DROPPED],
  '401': [DROPPED, DROPPED, DROPPED, DROPPED, DROPPED],
  '404': [DROPPED, DROPPED, DROPPED, AGAIN, DROPPED],
  '405': [DROPPED, DROPPED, DROPPED, DROPPED, DROPPED],
  '413': [
    DROPPED,
    'halves its batches and sends again; one event alone is dropped',
    DROPPED,
    DROPPED,
    DROPPED,
  ],
  '415': [DROPPED, DROPPED, DROPPED, DROPPED, DROPPED],
  '500': [AGAIN, AGAIN, AGAIN, AGAIN, AGAIN],
  '503': [
    `${AGAIN}, after \`Retry-After\``,
    `${AGAIN}, after 3 s`,
    `${AGAIN}, after \`Retry-After\``,
    `${AGAIN}, after \`Retry-After\` or later`,
    `${AGAIN}, by its own clock`,
  ],
};
