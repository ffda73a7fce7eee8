/** Records of the ClickHouse topics, made by the builders that the worker uses, with odd contents. */
import fc from 'fast-check';
import { asDistinctId, asEventUuid, asPersonUuid, asTeamId } from '../../src/event/ids.ts';
import type { JsonObject } from '../../src/event/json.ts';
import {
  deadLetterRow,
  deletedPersonRow,
  eventRow,
  groupRow,
  mappingRow,
  type PersonMode,
  personRow,
  warningRow,
} from '../../src/event/rows.ts';
import { scrub, scrubText } from '../../src/event/scrub.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';
import type { ClickHouseTopic } from '../../src/storage/topics.ts';

/** Few, so that one insert holds fewer months than ClickHouse takes at once by itself. */
const YEARS = [1, 1899, 1900, 1925, 1969, 1970, 2026, 2106, 2149, 2262, 2299, 2300, 9999];
const timeMs = fc
  .record({ year: fc.constantFrom(...YEARS), ms: fc.integer({ min: 0, max: 60 * 24 * 60 * 60 * 1000 }) })
  .map(({ year, ms }) => new Date(0).setUTCFullYear(year, 0, 1) + ms);
const text = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 50 }),
    fc.string({ unit: 'grapheme', maxLength: 50 }),
    fc.constantFrom('', '😀', '\\', '"}', "'", '\n\t\u0001', '\u2028', '{"a":1}'),
  )
  .map(scrubText);
const json = fc
  .dictionary(text, fc.jsonValue({ stringUnit: 'binary' }), { maxKeys: 5 })
  .map((object) => scrub(JSON.parse(JSON.stringify(object)) as JsonObject));
const deepJson = fc
  .integer({ min: 1, max: 200 })
  .map((depth) => `${'{"a":'.repeat(depth)}1e300${'}'.repeat(depth)}`);
const jsonText = fc.oneof({ weight: 5, arbitrary: json.map((object) => JSON.stringify(object)) }, deepJson);
const uuid = fc.uuid();
const teamId = fc.oneof(fc.nat(100), fc.maxSafeInteger()).map(asTeamId);
const version = fc.maxSafeNat();
/** Odd, and never the same. */
const name = fc.tuple(text, uuid).map((parts) => parts.join(''));

const event = fc
  .record({
    uuid,
    name: text,
    teamId,
    distinctId: text,
    timestampMs: timeMs,
    capturedAtMs: timeMs,
    historicalMigration: fc.boolean(),
    properties: jsonText,
    chain: text,
    person: fc.record({
      uuid: uuid.map(asPersonUuid),
      createdAtMs: timeMs,
      properties: jsonText,
      mode: fc.constantFrom<PersonMode>('full', 'propertyless', 'force_upgrade'),
    }),
    groups: fc.uniqueArray(
      fc.record({
        typeIndex: fc.nat(4),
        key: text,
        properties: json,
        createdAtMs: fc.option(timeMs, { nil: undefined }),
      }),
      { selector: ({ typeIndex }) => typeIndex },
    ),
  })
  .map(({ properties, chain, person, groups, ...rest }) => {
    const named = { uuid: asEventUuid(rest.uuid), distinctId: asDistinctId(rest.distinctId) };
    const pipelineEvent = { ...rest, ...named, properties: {}, warnings: [] };
    return eventRow(pipelineEvent, properties, chain, person, groups);
  });

const person = fc.record({
  uuid: uuid.map(asPersonUuid),
  teamId,
  createdAtMs: timeMs,
  properties: json,
  isIdentified: fc.boolean(),
  version,
});
const mapping = fc.record({
  teamId,
  distinctId: name.map(asDistinctId),
  person: uuid.map(asPersonUuid),
  version,
});
const group = fc.record({
  teamId,
  typeIndex: fc.nat(4),
  key: name,
  properties: json,
  createdAtMs: timeMs,
  version,
});
const warning = fc.tuple(teamId, json, fc.integer({ min: 1_700_000_000_000, max: 1_700_100_000_000 }));
const letter = fc.record({
  id: uuid,
  reason: fc.constant('malformed_record' as const),
  stage: text,
  detail: text,
  source: text,
  eventUuid: fc.option(uuid.map(asEventUuid), { nil: undefined }),
  eventName: text,
  distinctId: text,
  teamId,
  rawPayload: text,
  atMs: timeMs,
});

const on = (topic: ClickHouseTopic, row: fc.Arbitrary<string>): fc.Arbitrary<AppendRecord> =>
  fc.record({
    topic: fc.constant(topic),
    key: uuid,
    value: row,
    headers: fc.constant({}),
    // Past 2106 ClickHouse's DateTime ends. Dead letters are forgotten four weeks after theirs.
    timestamp: fc.integer({
      min: topic === 'events_dead_letter_queue' ? 3_000_000_000_000 : 0,
      max: 4_000_000_000_000,
    }),
  });

/** A record of any ClickHouse topic, most of them events. */
export const rowRecords: fc.Arbitrary<AppendRecord> = fc.oneof(
  { weight: 5, arbitrary: on('clickhouse_events_json', event) },
  { weight: 1, arbitrary: on('clickhouse_person', person.map(personRow)) },
  { weight: 1, arbitrary: on('clickhouse_person', person.map(deletedPersonRow)) },
  { weight: 1, arbitrary: on('clickhouse_person_distinct_id', mapping.map(mappingRow)) },
  { weight: 1, arbitrary: on('clickhouse_groups', group.map(groupRow)) },
  {
    weight: 1,
    arbitrary: on(
      'clickhouse_ingestion_warnings',
      warning.map(([team, details, atMs]) => warningRow(team, 'invalid_alias', details, atMs)),
    ),
  },
  { weight: 1, arbitrary: on('events_dead_letter_queue', letter.map(deadLetterRow)) },
);
