/** Events whose name or flag gives them a fate of their own, before any person is looked at. */
import type { EventWarning, PipelineEvent } from './event.ts';
import type { DropReason, WarningType } from './outcome.ts';

export interface OwnFate {
  readonly reason: DropReason;
  readonly warning: EventWarning;
}

/** Without a person profile there is nobody for them to be about. */
const ABOUT_PERSONS: ReadonlySet<string> = new Set(['$identify', '$create_alias', '$merge_dangerously']);

export const isAboutPersons = ({ name }: PipelineEvent): boolean => ABOUT_PERSONS.has(name);

/** `undefined` for ordinary events. `personProcessingOptOut`: the project keeps no persons. */
export function ownFate(event: PipelineEvent, personProcessingOptOut: boolean): OwnFate | undefined {
  const { properties, uuid, distinctId } = event;
  if (event.name === '$$client_ingestion_warning') {
    const message = properties['$$client_ingestion_warning_message'] ?? null;
    return {
      reason: 'client_ingestion_warning',
      warning: {
        type: 'client_ingestion_warning',
        sourceId: distinctId,
        details: { eventUuid: uuid, distinctId, message },
      },
    };
  }
  if (properties['$cookieless_mode'] === true) {
    // Everybody without cookies shares one distinct id: folded, they would become one person.
    return {
      reason: 'cookieless_not_supported',
      warning: {
        type: 'cookieless_not_supported',
        sourceId: event.name,
        details: { eventUuid: uuid, event: event.name },
      },
    };
  }
  const wantsNone = personProcessingOptOut || properties['$process_person_profile'] === false;
  if (wantsNone && isAboutPersons(event)) {
    const type = 'invalid_event_when_process_person_profile_is_false';
    return {
      reason: type,
      warning: { type, sourceId: distinctId, details: { eventUuid: uuid, event: event.name, distinctId } },
    };
  }
  return invalidOtherId(event);
}

/** The other id of these events has to be text; `null` is as good as none. */
const OTHER_IDS: ReadonlyMap<
  string,
  { readonly property: string; readonly reason: OwnFate['reason'] & WarningType }
> = new Map([
  ['$identify', { property: '$anon_distinct_id', reason: 'invalid_anon_distinct_id' }],
  ['$create_alias', { property: 'alias', reason: 'invalid_alias' }],
  ['$merge_dangerously', { property: 'alias', reason: 'invalid_alias' }],
]);

function invalidOtherId({ name, properties, uuid, distinctId }: PipelineEvent): OwnFate | undefined {
  const other = OTHER_IDS.get(name);
  const value = other && properties[other.property];
  if (other === undefined || value === undefined || value === null || typeof value === 'string')
    return undefined;
  const details = { eventUuid: uuid, event: name, distinctId, [other.property]: value };
  return { reason: other.reason, warning: { type: other.reason, sourceId: distinctId, details } };
}
