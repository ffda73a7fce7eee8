/** Person properties that no client has to set: PostHog reads them off the event. */
import type { PipelineEvent } from '../event/event.ts';
import type { Json, JsonObject } from '../event/json.ts';

/** What the event was seen on. */
const DEVICE_KEYS = [
  '$app_build',
  '$app_name',
  '$app_namespace',
  '$app_version',
  '$browser',
  '$browser_version',
  '$device_type',
  '$current_url',
  '$pathname',
  '$os',
  '$os_name',
  '$os_version',
  '$referring_domain',
  '$referrer',
  '$screen_height',
  '$screen_width',
  '$viewport_height',
  '$viewport_width',
  '$raw_user_agent',
] as const;

/** What campaign led to it. */
const CAMPAIGN_KEYS = [
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_content',
  'utm_name',
  'utm_term',
  'gclid',
  'gad_source',
  'gclsrc',
  'dclid',
  'gbraid',
  'wbraid',
  'fbclid',
  'msclkid',
  'twclid',
  'li_fat_id',
  'mc_cid',
  'igshid',
  'ttclid',
  'rdt_cid',
  'irclid',
  '_kx',
  'epik',
  'qclid',
  'sccid',
] as const;

const KEYS: ReadonlySet<string> = new Set([...DEVICE_KEYS, ...CAMPAIGN_KEYS]);

/** A server's system says nothing about the person. */
const SERVER_KEYS: ReadonlySet<string> = new Set(['$os', '$os_name', '$os_version']);
const SERVER_LIBRARIES: ReadonlySet<Json | undefined> = new Set([
  'posthog-python',
  'posthog-node',
  'posthog-php',
  'posthog-ruby',
  'posthog-go',
  'posthog-java',
  'posthog-dotnet',
  'posthog-elixir',
  'posthog-rs',
]);

export interface ClientProperties {
  readonly set: JsonObject;
  readonly setOnce: JsonObject;
}

/** Shown to somebody: surveys that are not to be shown too often ask the person for it. */
const SURVEY_SHOWN = 'survey shown';

/**
 * What to `$set` (the latest) and `$set_once` (the first, as `$initial_…`); `undefined` when the event has none.
 * `properties`: the event's, as they are by now.
 */
export function clientProperties(
  { name, timestampMs }: PipelineEvent,
  properties: JsonObject,
): ClientProperties | undefined {
  const found = seenProperties(properties);
  if (name !== SURVEY_SHOWN) return found;
  const $survey_last_seen_date = new Date(timestampMs).toISOString();
  return { set: { ...found?.set, $survey_last_seen_date }, setOnce: { ...found?.setOnce } };
}

function seenProperties(properties: JsonObject): ClientProperties | undefined {
  const isServer = properties['$is_server'] === true || SERVER_LIBRARIES.has(properties['$lib']);
  let set: Record<string, Json> | undefined;
  const setOnce: Record<string, Json> = {};
  for (const name in properties) {
    if (!KEYS.has(name) || (isServer && SERVER_KEYS.has(name))) continue;
    // Some libraries say `$os_name` where the others say `$os`.
    const key = name === '$os_name' ? '$os' : name;
    if (key !== name && properties[key] !== undefined) continue;
    set ??= {};
    set[key] = properties[name] ?? null;
    setOnce[`$initial_${key.replace('$', '')}`] = properties[name] ?? null;
  }
  return set && { set, setOnce };
}

/**
 * Change so often that, alone and where the person has them already, they are not worth a write; the event's row shows
 * them all the same.
 */
export const VOLATILE_KEYS: ReadonlySet<string> = new Set([
  '$current_url',
  '$pathname',
  '$referring_domain',
  '$referrer',
  '$screen_height',
  '$screen_width',
  '$viewport_height',
  '$viewport_width',
  '$browser',
  '$browser_version',
  '$device_type',
  '$raw_user_agent',
  '$os',
  '$os_name',
  '$os_version',
  '$geoip_postal_code',
  '$geoip_time_zone',
  '$geoip_latitude',
  '$geoip_longitude',
  '$geoip_accuracy_radius',
  '$geoip_subdivision_1_code',
  '$geoip_subdivision_1_name',
  '$geoip_subdivision_2_code',
  '$geoip_subdivision_2_name',
  '$geoip_subdivision_3_code',
  '$geoip_subdivision_3_name',
  '$geoip_city_confidence',
  '$geoip_country_confidence',
  '$geoip_postal_code_confidence',
  '$geoip_subdivision_1_confidence',
  '$geoip_subdivision_2_confidence',
]);
