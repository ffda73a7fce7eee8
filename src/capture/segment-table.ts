/** What Segment's messages become, as tables: `segment-message.ts` follows them, and the documents show them. */

export type MessageType = 'identify' | 'track' | 'page' | 'screen' | 'group' | 'alias';

export interface MessageMapping {
  /** Name of the event; `undefined`: the message's `event`. */
  readonly event: string | undefined;
  /** The field of the message whose members become properties. */
  readonly spreads: 'properties' | undefined;
  /** Fields of the message, by path, and the properties that they become. */
  readonly fields: readonly FieldMapping[];
  /** Properties that it has always. */
  readonly adds?: Readonly<Record<string, string>>;
}

export interface FieldMapping {
  readonly from: string;
  readonly to: string;
}

/** Segment's groups have no type; PostHog's need one. */
export const GROUP_TYPE = 'company';

const VIEWED: readonly FieldMapping[] = [
  { from: 'properties.url', to: '$current_url' },
  { from: 'properties.path', to: '$pathname' },
  { from: 'properties.referrer', to: '$referrer' },
];

export const MESSAGES: Readonly<Record<MessageType, MessageMapping>> = {
  track: { event: undefined, spreads: 'properties', fields: [] },
  page: {
    event: '$pageview',
    spreads: 'properties',
    fields: [...VIEWED, { from: 'name', to: 'name' }, { from: 'category', to: 'category' }],
  },
  screen: {
    event: '$screen',
    spreads: 'properties',
    fields: [
      { from: 'name', to: '$screen_name' },
      { from: 'category', to: 'category' },
    ],
  },
  identify: {
    event: '$identify',
    spreads: undefined,
    fields: [
      { from: 'traits', to: '$set' },
      { from: 'anonymousId', to: '$anon_distinct_id' },
    ],
  },
  group: {
    event: '$groupidentify',
    spreads: undefined,
    fields: [
      { from: 'groupId', to: '$group_key' },
      { from: 'traits', to: '$group_set' },
    ],
    adds: { $group_type: GROUP_TYPE },
  },
  alias: { event: '$create_alias', spreads: undefined, fields: [{ from: 'previousId', to: 'alias' }] },
};

/** An `identify` without a `userId` knows something of somebody, and joins nobody. */
export const ANONYMOUS_IDENTIFY: MessageMapping = {
  event: '$set',
  spreads: undefined,
  fields: [{ from: 'traits', to: '$set' }],
};

/** Of every message. What the client put into `properties` under the same name wins. */
export const EVERY_MESSAGE: readonly FieldMapping[] = [
  { from: 'anonymousId', to: '$device_id' },
  { from: 'context.groupId', to: `$groups.${GROUP_TYPE}` },
  { from: 'context.ip', to: '$ip' },
  { from: 'context.userAgent', to: '$raw_user_agent' },
  { from: 'context.locale', to: '$locale' },
  { from: 'context.timezone', to: '$timezone' },
  { from: 'context.library.name', to: '$lib' },
  { from: 'context.library.version', to: '$lib_version' },
  { from: 'context.page.url', to: '$current_url' },
  { from: 'context.page.path', to: '$pathname' },
  { from: 'context.page.referrer', to: '$referrer' },
  { from: 'context.page.title', to: 'title' },
  { from: 'context.campaign.source', to: 'utm_source' },
  { from: 'context.campaign.medium', to: 'utm_medium' },
  { from: 'context.campaign.name', to: 'utm_campaign' },
  { from: 'context.campaign.term', to: 'utm_term' },
  { from: 'context.campaign.content', to: 'utm_content' },
  { from: 'context.os.name', to: '$os' },
  { from: 'context.os.version', to: '$os_version' },
  { from: 'context.screen.width', to: '$screen_width' },
  { from: 'context.screen.height', to: '$screen_height' },
  { from: 'context.app.name', to: '$app_name' },
  { from: 'context.app.version', to: '$app_version' },
  { from: 'context.app.build', to: '$app_build' },
  { from: 'context.app.namespace', to: '$app_namespace' },
  { from: 'context.device.manufacturer', to: '$device_manufacturer' },
  { from: 'context.device.model', to: '$device_model' },
  { from: 'context.device.name', to: '$device_name' },
  { from: 'context.device.type', to: '$device_type' },
  { from: 'context.network.carrier', to: '$network_carrier' },
  { from: 'context.network.cellular', to: '$network_cellular' },
  { from: 'context.network.wifi', to: '$network_wifi' },
];

/** What is left of `context` when the fields above are taken out of it. */
export const REST_OF_CONTEXT = '$segment_context';

/** Of every event. */
export const EVENT_FIELDS: readonly FieldMapping[] = [
  { from: 'userId, else anonymousId', to: 'distinct_id' },
  { from: 'messageId', to: 'uuid' },
  { from: 'timestamp, else originalTimestamp', to: 'timestamp' },
];

/** Segment's clients post a message to the name of its type, or to the first letter of it. */
export const SEGMENT_PATHS: Readonly<Record<string, MessageType | 'batch'>> = {
  '/v1/identify': 'identify',
  '/v1/i': 'identify',
  '/v1/track': 'track',
  '/v1/t': 'track',
  '/v1/page': 'page',
  '/v1/p': 'page',
  '/v1/screen': 'screen',
  '/v1/s': 'screen',
  '/v1/group': 'group',
  '/v1/g': 'group',
  '/v1/alias': 'alias',
  '/v1/a': 'alias',
  '/v1/batch': 'batch',
  '/v1/b': 'batch',
};
