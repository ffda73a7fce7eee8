/** Why a request is answered with an error, as a value. */
import type { RefusalReason } from '../event/outcome.ts';

const STATUS: Readonly<Record<RefusalReason, string>> = {
  malformed_body: '400 Bad Request',
  empty_body: '400 Bad Request',
  empty_batch: '400 Bad Request',
  too_many_events: '413 Payload Too Large',
  too_deep: '400 Bad Request',
  too_many_keys: '400 Bad Request',
  missing_event_name: '400 Bad Request',
  invalid_event_name: '400 Bad Request',
  missing_distinct_id: '400 Bad Request',
  invalid_uuid: '400 Bad Request',
  missing_uuid: '400 Bad Request',
  duplicate_uuid: '400 Bad Request',
  invalid_properties: '400 Bad Request',
  invalid_cookieless_mode: '400 Bad Request',
  invalid_options: '400 Bad Request',
  unknown_message_type: '400 Bad Request',
  missing_token: '401 Unauthorized',
  invalid_token: '401 Unauthorized',
  several_tokens: '401 Unauthorized',
  unknown_token: '401 Unauthorized',
  body_too_large: '413 Payload Too Large',
  event_too_large: '413 Payload Too Large',
  unsupported_encoding: '415 Unsupported Media Type',
  unsupported_content_type: '415 Unsupported Media Type',
  overloaded: '503 Service Unavailable',
  log_full: '503 Service Unavailable',
  log_unavailable: '503 Service Unavailable',
  internal_error: '500 Internal Server Error',
};

export class Refusal {
  readonly reason: RefusalReason;
  /** What is wrong and what to do, for the person who reads the SDK's error. */
  readonly text: string;
  /** The rest of the body is not worth waiting for. */
  readonly closes: boolean;

  constructor(reason: RefusalReason, text: string, closes = false) {
    this.reason = reason;
    this.text = text;
    this.closes = closes;
  }

  get status(): string {
    return STATUS[this.reason];
  }
}
