/** Events whose name or flag gives them a fate of their own, before any person is looked at. */
import type { EventWarning, PipelineEvent } from './event.ts';
import type { DropReason } from './outcome.ts';

export interface OwnFate {
  readonly reason: DropReason;
  readonly warning: EventWarning;
}

/** Without a person profile there is nobody for them to be about. */
const ABOUT_PERSONS: ReadonlySet<string> = new Set(['$identify', '$create_alias', '$merge_dangerously']);

/** `undefined` for ordinary events. */
export function ownFate(event: PipelineEvent): OwnFate | undefined {
  const { properties, uuid, distinctId } = event;
  if (event.name === '$$client_ingestion_warning') {
    const message = properties['$$client_ingestion_warning_message'] ?? null;
    return {
      reason: 'client_ingestion_warning',
      warning: { type: 'client_ingestion_warning', details: { eventUuid: uuid, distinctId, message } },
    };
  }
  if (properties['$cookieless_mode'] === true) {
    // Everybody without cookies shares one distinct id: folded, they would become one person.
    return {
      reason: 'cookieless_not_supported',
      warning: { type: 'cookieless_not_supported', details: { eventUuid: uuid, event: event.name } },
    };
  }
  if (properties['$process_person_profile'] === false && ABOUT_PERSONS.has(event.name)) {
    const type = 'invalid_event_when_process_person_profile_is_false';
    return { reason: type, warning: { type, details: { eventUuid: uuid, event: event.name, distinctId } } };
  }
  return undefined;
}
