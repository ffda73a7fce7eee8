/** Events as clients send them, the odd ones above all, in the records that capture makes of them. */

import fc from 'fast-check';
import { takeEvents } from '../../src/capture/events.ts';
import { Refusal } from '../../src/capture/refusal.ts';
import { shapeOf } from '../../src/capture/shape.ts';
import type { Token } from '../../src/event/ids.ts';
import { UNRESTRICTED } from '../../src/event/restriction.ts';
import { newEventUuid } from '../../src/ids.ts';
import { LIMITS } from '../../src/limits.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';

const unicode = (maxLength: number) =>
  fc.oneof(
    fc.string({ unit: 'binary', maxLength }),
    fc.string({ unit: 'grapheme', maxLength }),
    fc.constantFrom('\u0000', '\ud800', 'a\u0000b', '😀', '\\', '"', "'", '\n\t', '{}', '\u2028'),
  );
const pool = (...texts: readonly string[]) => fc.constantFrom(...texts);
/** Written as text: a JavaScript number cannot hold them. */
const NUMBERS = [
  '1e400',
  '-1e400',
  '123456789012345678901234567890',
  '-0',
  '1E-400',
  '0.1e-7',
  '9223372036854775808',
];
const numberText = fc.constantFrom(...NUMBERS).map((text) => `number ${text}`);

const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' }) },
  { weight: 2, arbitrary: unicode(40) },
  { weight: 1, arbitrary: numberText },
  { weight: 1, arbitrary: fc.double({ noNaN: true }) },
  { weight: 1, arbitrary: fc.maxSafeInteger() },
);
const properties = fc.dictionary(fc.oneof(unicode(20), pool('$os', '$browser', '__proto__', 'a.b')), value, {
  maxKeys: 6,
});
const id = fc.oneof(pool('ann', 'bob', 'cleo', 'dora'), unicode(250));

const GROUP_TYPES = ['company', 'team', 'äö😀'];

const timestamp = fc.oneof(
  fc
    .date({ min: new Date('-000001-01-01T00:00:00Z'), max: new Date('+010001-01-01T00:00:00Z') })
    .map(dateText),
  fc.date({ min: new Date('2020-01-01'), max: new Date('2026-01-01') }).map(dateText),
  fc.double(),
  fc.integer(),
  unicode(30),
  fc.constantFrom(
    '0000-01-01T00:00:00Z',
    '0000-12-31T23:59:59.999Z',
    '0001-01-01T00:00:00Z',
    '1899-12-31T23:59:59.999Z',
    '1969-12-31T23:59:59.999Z',
    '2023-07-01T10:52:37.123456Z',
    '9999-12-31T23:59:59.999Z',
    '+275760-09-13T00:00:00.000Z',
    null,
  ),
);

const special = fc.oneof(
  fc.constant({}),
  fc.record({ $set: value, $set_once: value, $unset: value }, { requiredKeys: [] }),
  fc
    .dictionary(unicode(20), fc.oneof(id, fc.integer(), value), { maxKeys: 7 })
    .map(($groups) => ({ $groups })),
  fc.record({
    $group_type: pool(...GROUP_TYPES),
    $group_key: unicode(410),
    $group_set: properties,
  }),
  fc.record({ $anon_distinct_id: fc.oneof(id, value), alias: fc.oneof(id, value) }, { requiredKeys: [] }),
  fc.record({ $process_person_profile: fc.oneof(fc.boolean(), value) }),
  fc.record(
    { $elements: fc.array(properties, { maxLength: 3 }), $elements_chain: value },
    { requiredKeys: [] },
  ),
  fc.record({ $geoip_disable: value, $ip: value, $sent_at: value, $session_id: value }, { requiredKeys: [] }),
);
const names = [
  '$identify',
  '$create_alias',
  '$groupidentify',
  '$set',
  '$merge_dangerously',
  '$pageview',
  '$autocapture',
];

const plainEvent = fc
  .record({
    event: fc.oneof(pool(...names), unicode(210)),
    distinct_id: id,
    timestamp,
    offset: fc.oneof(fc.constant(undefined), fc.double(), fc.integer()),
    own: properties,
    special,
    more: special,
    $set: fc.option(properties, { nil: undefined }),
  })
  .map(({ own, special, more, ...rest }) => ({ ...rest, properties: { ...own, ...special, ...more } }));

const groupIdentify = fc
  .record({
    distinct_id: id,
    timestamp,
    $group_type: pool(...GROUP_TYPES),
    $group_key: unicode(410),
    $group_set: properties,
  })
  .map(({ distinct_id, timestamp, ...rest }) => ({
    event: '$groupidentify',
    distinct_id,
    timestamp,
    properties: rest,
  }));
const event = fc.oneof({ weight: 4, arbitrary: plainEvent }, { weight: 1, arbitrary: groupIdentify });

function dateText(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'no date' : date.toISOString();
}

/** Bodies of requests with one event each; capture refuses some. */
export const oddBodies = (count: number): fc.Arbitrary<readonly string[]> =>
  fc.array(event.map(bodyOf), { minLength: count, maxLength: count });

/** A project has five types of groups, those that come first: with these ahead, theirs are among them. */
export const groupTypeBodies: readonly string[] = GROUP_TYPES.map(($group_type) =>
  JSON.stringify({
    event: '$groupidentify',
    distinct_id: 'ann',
    properties: { $group_type, $group_key: 'first' },
  }),
);

const bodyOf = (body: object): string =>
  JSON.stringify(body).replaceAll(/"number ([-+.\deE]+)"/g, (_, text: string) => text);

/** What capture puts on the log for them. */
export function captured(bodies: readonly string[], token: Token, now: number): readonly AppendRecord[] {
  const { capture } = LIMITS;
  return bodies.flatMap((body) => {
    const batch = shapeOf(JSON.parse(body));
    if (batch instanceof Refusal) return [];
    const context = {
      token,
      ip: '203.0.113.9',
      now,
      sentAtQuery: '',
      isEngage: false,
      restrictions: UNRESTRICTED,
    };
    const taken = takeEvents(batch, body, context, newEventUuid, capture);
    return taken instanceof Refusal ? [] : taken.records;
  });
}
