/**
 * 1. When did it happen?
 *
 * A client says when an event happened, and its clock may be wrong. Capture decides once, when the event comes in, and
 * writes the answer into the event's record: nothing later on looks at a clock, so a replay gives the same time.
 * All times here are of a request that comes in at noon, 2026-11-22 12:00:00 UTC.
 */
import t from 'tap';
import type { Json } from '../../src/event/json.ts';
import { NOON } from './clock.ts';
import { captured, eventUuid, type Request, startSystem } from './harness.ts';

/** The time that capture gives an event with these fields. */
function timeOf(fields: Readonly<Record<string, Json>>, request: Request = {}): string {
  const event = { event: 'opened', distinct_id: 'ann', ...fields };
  const [record] = captured([event], request, NOON, () => eventUuid(1));
  return JSON.parse(String(record?.value)).timestamp;
}

t.test('an event without a timestamp happened when it came', async (t) => {
  t.equal(timeOf({}), '2026-11-22T12:00:00.000Z');
});

t.test('a timestamp is believed as it stands when nobody says when it was sent', async (t) => {
  t.equal(timeOf({ timestamp: '2026-11-22T09:30:00Z' }), '2026-11-22T09:30:00.000Z');
});

t.test('with sent_at the error of the client’s clock is taken out', async (t) => {
  // The client believes that it is 14:00, two hours ahead. So its 13:59 was a minute before noon.
  const request = { sent_at: '2026-11-22T14:00:00Z' };
  t.equal(timeOf({ timestamp: '2026-11-22T13:59:00Z' }, request), '2026-11-22T11:59:00.000Z');
});

t.test('a sent_at of the last minute corrects nothing: the request may have waited', async (t) => {
  // posthog-node writes sent_at once. This is its third try, nine seconds later; its clock is right.
  const request = { sent_at: '2026-11-22T11:59:51Z' };
  t.equal(timeOf({ timestamp: '2026-11-22T11:59:50Z' }, request), '2026-11-22T11:59:50.000Z');
  // What is later than a minute is no wait: this clock is an hour behind.
  const late = { sent_at: '2026-11-22T11:00:00Z' };
  t.equal(timeOf({ timestamp: '2026-11-22T10:59:00Z' }, late), '2026-11-22T11:59:00.000Z');
});

t.test('$ignore_sent_at keeps the client’s time as it is', async (t) => {
  const fields = { timestamp: '2026-11-22T10:59:00Z', properties: { $ignore_sent_at: true } };
  t.equal(timeOf(fields, { sent_at: '2026-11-22T14:00:00Z' }), '2026-11-22T10:59:00.000Z');
});

t.test(
  'offset is how many milliseconds ago it was, and overrules a timestamp, even an offset of 0',
  async (t) => {
    t.equal(timeOf({ offset: 1_500 }), '2026-11-22T11:59:58.500Z');
    t.equal(timeOf({ offset: 0, timestamp: '2026-11-22T09:30:00Z' }), '2026-11-22T12:00:00.000Z');
  },
);

t.test('a sent_at that is no time is as good as none', async (t) => {
  const fields = { timestamp: '2026-11-22T09:30:00Z' };
  t.equal(timeOf(fields, { sent_at: 'this morning' }), '2026-11-22T09:30:00.000Z');
});

t.test('a timestamp that is no time becomes the time at which the event came', async (t) => {
  t.equal(timeOf({ timestamp: 'yesterday' }), '2026-11-22T12:00:00.000Z');
  t.equal(timeOf({ timestamp: '2026-02-30' }), '2026-11-22T12:00:00.000Z');
});

t.test('more than 23 hours in the future is not believed, 23 hours are', async (t) => {
  t.equal(timeOf({ timestamp: '2026-11-23T11:00:00.000Z' }), '2026-11-23T11:00:00.000Z');
  t.equal(timeOf({ timestamp: '2026-11-23T11:00:00.001Z' }), '2026-11-22T12:00:00.000Z');
});

t.test('the future is judged after the clock was corrected', async (t) => {
  // A clock that is three days ahead is none of the event's fault.
  const fields = { timestamp: '2026-11-25T11:59:00Z' };
  t.equal(timeOf(fields, { sent_at: '2026-11-25T12:00:00Z' }), '2026-11-22T11:59:00.000Z');
});

t.test('the past has no bound, but a year that nobody can write becomes 1970', async (t) => {
  t.equal(timeOf({ timestamp: '0001-01-01T00:00:00Z' }), '0001-01-01T00:00:00.000Z');
  t.equal(timeOf({ timestamp: '0000-12-31T00:00:00Z' }), '1970-01-01T00:00:00.000Z');
});

t.test('every way of writing a time that SDKs use is read', async (t) => {
  const moment = '2026-11-22T09:30:00.000Z';
  for (const timestamp of [
    '2026-11-22T09:30:00Z',
    '2026-11-22T09:30:00',
    '2026-11-22 09:30:00',
    '2026-11-22T10:30:00+01',
    '2026-11-22T10:30:00+0100',
    '2026/11/22 09:30:00',
    'Sun, 22 Nov 2026 10:30:00 +0100',
    1_795_339_800,
    1_795_339_800_000,
    '1795339800',
  ]) {
    t.equal(timeOf({ timestamp }), moment, String(timestamp));
  }
  t.equal(timeOf({ timestamp: '2026-11-22' }), '2026-11-22T00:00:00.000Z', 'a day is its midnight');
});

t.test('the row says when it happened, when it came, and what the client’s clock said', async (t) => {
  const system = await startSystem(t);
  await system.append([{ event: 'opened', distinct_id: 'ann', timestamp: '2026-11-22T13:59:00.250Z' }], {
    sent_at: '2026-11-22T14:00:00Z',
  });
  const { rows, persons } = await system.picture();
  t.match(rows, [
    {
      timestamp: '2026-11-22 11:59:00.250000',
      created_at: '2026-11-22 12:00:00.000000',
      person_created_at: '2026-11-22 11:59:00',
      properties: { $sent_at: '2026-11-22T14:00:00.000Z' },
    },
  ]);
  t.match(persons, [{ ids: 'ann', created_at: '2026-11-22 11:59:00' }], 'the person began with its event');
});

t.test(
  'a record whose time was spoilt on the way takes the time of its record, with a warning',
  async (t) => {
    const system = await startSystem(t);
    const [record] = captured([{ event: 'opened', distinct_id: 'ann' }], {}, NOON - 60_000, () =>
      eventUuid(1),
    );
    t.ok(record);
    if (record === undefined) return;
    const value = JSON.stringify({ ...JSON.parse(String(record.value)), timestamp: 'spoilt', now: 'spoilt' });
    await system.appendRecords([{ ...record, value }]);
    const { rows, warnings } = await system.picture();
    t.match(rows, [{ timestamp: '2026-11-22 11:59:00.000000' }]);
    t.match(warnings, [
      { type: 'ignored_invalid_timestamp', details: { eventUuid: eventUuid(1), value: 'spoilt' } },
    ]);
  },
);
