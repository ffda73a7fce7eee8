import type { PipelineEvent } from '../../event/event.ts';
import type { Json } from '../../event/json.ts';
import type { Project, Stage, Work } from '../work.ts';

/** Whether an event makes or changes a person profile: yes, unless the client or the project says no. */
export function wantsProfile(event: PipelineEvent, project: Project): boolean {
  return !project.personProcessingOptOut && event.properties['$process_person_profile'] !== false;
}

/**
 * `$process_person_profile: false` stays on the event, and takes `$set` and its kin off it; `true` is the default
 * and goes; anything else is taken for `true`, with a warning.
 */
export const profileStage: Stage = {
  name: 'profile',
  run(work) {
    const { event, project } = work;
    const flag = event.properties['$process_person_profile'];
    if (!wantsProfile(event, project)) {
      const { $set: _set, $set_once: _setOnce, $unset: _unset, ...rest } = work.properties;
      const mode = isUpgraded(work) ? 'force_upgrade' : 'propertyless';
      return { ...work, mode, properties: { ...rest, $process_person_profile: false } };
    }
    if (flag === undefined) return work;
    const { $process_person_profile: _flag, ...properties } = work.properties;
    if (typeof flag === 'boolean') return { ...work, properties };
    return {
      ...work,
      properties,
      warnings: [
        ...work.warnings,
        {
          type: 'invalid_process_person_profile',
          sourceId: event.distinctId,
          details: invalidFlagDetails(event, flag),
        },
      ],
    };
  },
};

/** The client cannot know that the person has a profile by now: its row shows it, but for the first minute. */
function isUpgraded({ person, event, project }: Work): boolean {
  if (person === undefined || project.personProcessingOptOut) return false;
  return event.timestampMs > person.createdAtMs + UPGRADE_AFTER_MS;
}

const UPGRADE_AFTER_MS = 60_000;

const invalidFlagDetails = (event: PipelineEvent, value: Json) => ({
  eventUuid: event.uuid,
  event: event.name,
  distinctId: event.distinctId,
  $process_person_profile: value,
  message: 'Only a boolean value is valid for the property $process_person_profile',
});
