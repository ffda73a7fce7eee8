/** JSON Schemas of what is posted. They say what is needed; every other member is kept. */

const TIME = { type: 'string', description: 'ISO 8601; epoch seconds and milliseconds are read as well' };
const PROPERTIES = {
  type: 'object',
  description: '`$set`, `$set_once` and `$unset` in it, or beside it, change the person',
  additionalProperties: true,
};
const TOKEN = { type: 'string', maxLength: 64, description: "The project's token" };

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

const EVENT_MEMBERS = {
  event: { type: 'string', description: 'Its name. `/engage` takes `$identify` where it is absent' },
  distinct_id: { description: 'Whose it is; may be in `properties` instead' },
  uuid: {
    type: 'string',
    format: 'uuid',
    description: 'A second event with it is dropped; made here if absent',
  },
  properties: PROPERTIES,
  timestamp: TIME,
  offset: { type: 'number', description: 'Milliseconds since it happened, instead of `timestamp`' },
  $set: { type: 'object' },
  $set_once: { type: 'object' },
  $unset: { type: 'array', items: { type: 'string' } },
};

const MESSAGE_MEMBERS = {
  type: { enum: ['track', 'identify', 'page', 'screen', 'group', 'alias'] },
  messageId: { type: 'string', description: "The event's uuid is derived from it" },
  userId: { type: ['string', 'null'] },
  anonymousId: { type: ['string', 'null'] },
  previousId: { type: 'string', description: 'alias: the id that joins `userId`' },
  groupId: { type: 'string' },
  event: { type: 'string', description: 'track: its name' },
  name: { type: 'string', description: 'page and screen' },
  properties: { type: 'object' },
  traits: { type: 'object' },
  context: { type: 'object' },
  timestamp: TIME,
};

export const SCHEMAS = {
  Event: {
    type: 'object',
    properties: {
      ...EVENT_MEMBERS,
      api_key: { ...TOKEN, description: "The project's token; also as `token`, or in `properties.token`" },
      token: TOKEN,
    },
  },
  Batch: {
    type: 'object',
    required: ['batch'],
    properties: {
      api_key: TOKEN,
      token: TOKEN,
      batch: { type: 'array', minItems: 1, items: ref('Event') },
      sent_at: TIME,
      historical_migration: { type: 'boolean' },
    },
  },
  Events: { anyOf: [ref('Batch'), ref('Event'), { type: 'array', minItems: 1, items: ref('Event') }] },
  V1Batch: {
    type: 'object',
    required: ['batch'],
    properties: {
      created_at: TIME,
      historical_migration: { type: 'boolean' },
      batch: {
        type: 'array',
        minItems: 1,
        items: {
          type: 'object',
          required: ['event', 'uuid', 'distinct_id'],
          properties: {
            ...EVENT_MEMBERS,
            session_id: { type: 'string' },
            window_id: { type: 'string' },
            options: {
              type: 'object',
              properties: {
                process_person_profile: { type: 'boolean' },
                cookieless_mode: { type: 'boolean' },
                disable_skew_correction: { type: 'boolean' },
                product_tour_id: { type: 'string' },
              },
            },
          },
        },
      },
    },
  },
  V1Results: {
    type: 'object',
    required: ['results'],
    properties: {
      results: {
        type: 'object',
        description: 'By uuid',
        additionalProperties: {
          type: 'object',
          required: ['result'],
          properties: { result: { enum: ['ok', 'drop'] }, details: { type: 'string' } },
        },
      },
    },
  },
  SegmentMessage: { type: 'object', properties: { ...MESSAGE_MEMBERS, writeKey: TOKEN } },
  SegmentBatch: {
    type: 'object',
    required: ['batch'],
    properties: {
      writeKey: TOKEN,
      sentAt: TIME,
      batch: { type: 'array', minItems: 1, items: { type: 'object', properties: MESSAGE_MEMBERS } },
    },
  },
  Recordings: { description: 'Anything: it is not read' },
  Question: { type: 'object', properties: { token: TOKEN, api_key: TOKEN, distinct_id: { type: 'string' } } },
  Taken: { type: 'object', required: ['status'], properties: { status: { const: 1 } } },
  SegmentTaken: { type: 'object', required: ['success'], properties: { success: { const: true } } },
} as const;

export type SchemaName = keyof typeof SCHEMAS;
