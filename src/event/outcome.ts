/**
 * Every record of `events_plugin_ingestion` ends in exactly one fate, and every fate other than a row has a
 * reason from the closed lists here. So has whatever ends at the door, before the log.
 */

/** Why a record ends without a row, on purpose. */
export const DROP_REASONS = [
  'unknown_token',
  'duplicate',
  'cookieless_not_supported',
  'client_ingestion_warning',
  'invalid_event_when_process_person_profile_is_false',
  'invalid_anon_distinct_id',
  'invalid_alias',
  'transform',
  'restriction',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** Why a record can never be processed. */
export const DEAD_LETTER_REASONS = [
  'malformed_record',
  'stage_failed',
  'merge_too_large',
  'lost_by_retention',
  'row_too_large',
  'refused_by_postgres',
  'refused_by_clickhouse',
  'refused_by_log',
] as const;
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

/** Why a request was answered with an error, or one event of a Capture V1 request was dropped. */
export const REFUSAL_REASONS = [
  'malformed_body',
  'empty_body',
  'empty_batch',
  'too_many_events',
  'too_deep',
  'too_many_keys',
  'missing_event_name',
  'invalid_event_name',
  'missing_distinct_id',
  'invalid_uuid',
  'missing_uuid',
  'duplicate_uuid',
  'invalid_properties',
  'invalid_cookieless_mode',
  'invalid_options',
  'unknown_message_type',
  'missing_token',
  'invalid_token',
  'several_tokens',
  'unknown_token',
  'body_too_large',
  'event_too_large',
  'unsupported_encoding',
  'unsupported_content_type',
  'overloaded',
  'log_full',
  'log_unavailable',
  'internal_error',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Why capture ends a connection without an answer; nothing of what it was sending is kept. */
export const CUT_REASONS = ['too_many_connections', 'slow_body'] as const;
export type CutReason = (typeof CUT_REASONS)[number];

/** What is taken with a 200 and kept nowhere: data of products that Tributary does not have, and what the project drops. */
export const DISCARD_REASONS = ['session_recording', 'performance_event', 'heatmap', 'restriction'] as const;
export type DiscardReason = (typeof DISCARD_REASONS)[number];

/** Types of ingestion warnings, as PostHog names them, and ours. */
export const WARNING_TYPES = [
  'client_ingestion_warning',
  'ignored_invalid_timestamp',
  'invalid_process_person_profile',
  'invalid_event_when_process_person_profile_is_false',
  'message_size_too_large',
  'cookieless_not_supported',
  'invalid_anon_distinct_id',
  'invalid_alias',
  'cannot_merge_with_illegal_distinct_id',
  'cannot_merge_already_identified',
  'distinct_id_truncated',
  'person_properties_size_violation',
  'person_upsert_message_size_too_large',
  'invalid_group_set',
  'group_key_too_long',
  'too_many_group_types',
  'group_upsert_message_size_too_large',
] as const;
export type WarningType = (typeof WARNING_TYPES)[number];

export type Fate =
  | { readonly kind: 'row' }
  | { readonly kind: 'drop'; readonly reason: DropReason }
  | { readonly kind: 'dead_letter'; readonly reason: DeadLetterReason };

export const ROW: Fate = { kind: 'row' };
