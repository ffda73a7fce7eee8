/**
 * 10. What happens to an event on its way
 *
 * In this order: its record is read, its project found, the event opened (the envelope over what the client wrote, times,
 * address), events with a fate of their own end, repeats end, transforms, the hold, whose it is, and then the stages
 * at its person. Every record ends as a row, as a drop with a reason, or as a dead letter, and is counted once.
 */
import t from 'tap';
import { asDistinctId, type DistinctId } from '../../src/event/ids.ts';
import { DEAD_LETTER_REASONS, DROP_REASONS } from '../../src/event/outcome.ts';
import type { Restriction } from '../../src/event/restriction.ts';
import { STAGES } from '../../src/person/stages.ts';
import { NOON } from './clock.ts';
import { captured, eventUuid, given, type Sent, startSystem, TOKEN } from './harness.ts';

const opened = { event: 'opened', distinct_id: 'ann' };

t.test('at its person an event passes these stages', async (t) => {
  t.same(
    STAGES.map(({ name }) => name),
    ['profile', 'client', 'identity', 'person', 'groups', 'ip', 'elements'],
  );
});

t.test('reasons come from closed lists: these are all for which an event has no row', async (t) => {
  t.same(DROP_REASONS, [
    'unknown_token',
    'duplicate',
    'cookieless_not_supported',
    'client_ingestion_warning',
    'invalid_event_when_process_person_profile_is_false',
    'invalid_anon_distinct_id',
    'invalid_alias',
    'transform',
    'restriction',
  ]);
  t.same(DEAD_LETTER_REASONS, [
    'malformed_record',
    'stage_failed',
    'merge_too_large',
    'lost_by_retention',
    'row_too_large',
    'refused_by_postgres',
    'refused_by_clickhouse',
    'refused_by_log',
  ]);
});

t.test('a project can keep out the events of a distinct id, or only their persons', async (t) => {
  const ofIds = new Map<DistinctId, ReadonlySet<Restriction>>([
    [asDistinctId('crawler'), new Set(['drop'])],
    [asDistinctId('kiosk'), new Set(['no_person_profile'])],
  ]);
  const system = await startSystem(t, { project: { restrictions: { ofAll: new Set(), ofIds } } });
  await system.send(opened, { ...opened, distinct_id: 'crawler' }, { ...opened, distinct_id: 'kiosk' });
  const { rows, persons } = await system.picture();
  t.match(rows, [
    { distinct_id: 'ann', person_mode: 'full' },
    { distinct_id: 'kiosk', person_mode: 'propertyless' },
  ]);
  t.equal(rows.length, 2);
  t.equal(persons.length, 1);
});

t.test('the record overrules what the client wrote inside of it', async (t) => {
  const system = await startSystem(t);
  const [record] = captured([opened], {}, NOON, () => eventUuid(1));
  if (record === undefined) throw new Error('one record');
  const envelope = JSON.parse(String(record.value));
  const data = JSON.stringify({
    event: 'inner',
    distinct_id: 'inner',
    uuid: eventUuid(9),
    properties: { a: 1 },
  });
  await system.appendRecords([{ ...record, value: JSON.stringify({ ...envelope, data }) }]);
  t.match((await system.picture()).rows, [
    { event: 'opened', distinct_id: 'ann', uuid: eventUuid(1), properties: { a: 1 } },
  ]);
});

t.test('an event of a project that nobody knows is dropped, and is no dead letter', async (t) => {
  const system = await startSystem(t);
  const [record] = captured([opened], {}, NOON, () => eventUuid(1));
  if (record === undefined) throw new Error('one record');
  // Digits are no project's number here.
  for (const token of ['phc_gone', '1', '']) {
    const envelope = { ...JSON.parse(String(record.value)), token };
    await system.appendRecords([{ ...record, value: JSON.stringify(envelope) }]);
  }
  const { rows, books } = await system.picture();
  t.same(rows, []);
  t.match(books, { dropped: { unknown_token: 3 }, dead_lettered: {} });
});

t.test('a record that is no event is a dead letter that says what is wrong with it', async (t) => {
  const system = await startSystem(t);
  const record = {
    topic: 'events_plugin_ingestion',
    key: `${TOKEN}:ann`,
    headers: {},
    timestamp: NOON,
  } as const;
  const noUuid = { uuid: 'no', distinct_id: 'ann', token: TOKEN, event: 'x', data: '{}' };
  await system.appendRecords([
    { ...record, value: 'no JSON' },
    { ...record, value: JSON.stringify(noUuid) },
  ]);
  t.match((await system.picture()).books, { dead_lettered: { malformed_record: 2 } });
  const letters = await system.read('events_dead_letter_queue');
  t.match(letters, [{ error: 'malformed_record', error_location: 'decode' }, {}]);
  t.match(JSON.stringify(letters[1]), /uuid is missing or not a UUID/);
});

t.test(
  'an event that comes again within ten minutes is dropped: same uuid, name and distinct id',
  async (t) => {
    const system = await startSystem(t);
    const again: Sent = { ...opened, uuid: eventUuid(1) };
    await system.send(again, again, { ...again, event: 'closed' }, { ...again, distinct_id: 'bob' });
    t.match((await system.picture()).books, { rows: 3, dropped: { duplicate: 1 } });
  },
);

t.test('an event without cookies is dropped, with a warning: all its users would be one', async (t) => {
  const { rows, warnings, books } = await given(t, {
    event: '$pageview',
    distinct_id: '$posthog_cookieless',
    properties: { $cookieless_mode: true },
  });
  t.same(rows, []);
  t.match(warnings, [{ type: 'cookieless_not_supported' }]);
  t.match(books, { dropped: { cookieless_not_supported: 1 } });
});

t.test('a session that is a UUID is in lower case; one that is none stays as it is', async (t) => {
  const upper = 'ABCDEF00-0000-7000-8000-000000000000';
  const { rows } = await given(
    t,
    { ...opened, properties: { $session_id: upper } },
    { ...opened, properties: { $session_id: 'Session-1' } },
  );
  t.match(rows, [
    { properties: { $session_id: upper.toLowerCase() } },
    { properties: { $session_id: 'Session-1' } },
  ]);
});

t.test('names of events are cut to 200 characters', async (t) => {
  const { rows } = await given(t, { ...opened, event: 'x'.repeat(300) });
  t.match(rows, [{ event: 'x'.repeat(200) }]);
});

t.test('a transform may change an event, drop it, or fail: then the event goes on as it was', async (t) => {
  const system = await startSystem(t, {
    transforms: [
      {
        name: 'greet',
        run: async (event) => ({ ...event, properties: { ...event.properties, hello: true } }),
      },
      { name: 'no bots', run: async (event) => (event.distinctId === 'bot' ? null : event) },
      {
        name: 'broken',
        run: async () => {
          throw new Error('broken');
        },
      },
    ],
  });
  await system.send(opened, { ...opened, distinct_id: 'bot' });
  const { rows, books } = await system.picture();
  t.match(rows, [{ distinct_id: 'ann', properties: { hello: true } }]);
  t.equal(rows.length, 1);
  t.match(books, { dropped: { transform: 1 } });
});
