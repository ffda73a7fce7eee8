/** Which events wait for somebody to say who they are about. */
import type { PipelineEvent } from '../event/event.ts';
import { mergeRequest } from './merge.ts';
import { wantsProfile } from './stages/profile.ts';
import type { Project } from './work.ts';

/** Their events do not tell whether the id is an anonymous one. */
const MOBILE_LIBRARIES: ReadonlySet<unknown> = new Set([
  'posthog-ios',
  'posthog-android',
  'posthog-react-native',
  'posthog-flutter',
]);

/**
 * Whether the event is held while its distinct id has no person. Not: what wants no profile, anonymous events (the id
 * is the device's), what joins two ids, groups, mobile libraries, and imports of old events.
 */
export function isHoldable(event: PipelineEvent, project: Project): boolean {
  const { properties, name, distinctId, historicalMigration } = event;
  if (historicalMigration || !wantsProfile(event, project)) return false;
  if (properties['$device_id'] === distinctId || MOBILE_LIBRARIES.has(properties['$lib'])) return false;
  return name !== '$groupidentify' && mergeRequest(event) === undefined;
}
