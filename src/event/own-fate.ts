/** Events whose name or flag gives them a fate of their own, before any person is looked at. */
import type { EventWarning, PipelineEvent } from './event.ts';
import type { DropReason } from './outcome.ts';

export interface OwnFate {
  readonly reason: DropReason;
  readonly warning: EventWarning;
}

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
  return undefined;
}
