import fc from 'fast-check';
import t from 'tap';
import { clickHouseMicros, clickHouseSeconds, eventTime, parseTimestamp } from '../../src/event/timestamp.ts';

const HOUR = 60 * 60 * 1_000;
const NOW = Date.parse('2026-11-22T12:00:00Z');
const client = { timestamp: undefined, offset: undefined, sentAt: undefined, ignoreSentAt: false, now: NOW };
const year = (from: number, to: number) =>
  fc.date({ min: new Date(Date.UTC(from)), max: new Date(Date.UTC(to)), noInvalidDate: true });

t.test('every way of writing a moment is read as that moment', async (t) => {
  const moment = Date.parse('2023-07-01T10:52:37.123Z');
  const second = Date.parse('2023-07-01T10:52:37Z');
  const minute = Date.parse('2023-07-01T10:52:00Z');
  const day = Date.parse('2023-07-01T00:00:00Z');
  const ways: readonly (readonly [unknown, number])[] = [
    ['2023-07-01T10:52:37.123Z', moment],
    ['2023-07-01t10:52:37.123z', moment],
    ['2023-07-01T10:52:37.123456+00:00', moment],
    ['2023-07-01T12:52:37.123+02:00', moment],
    ['2023-07-01T12:52:37.123+0200', moment],
    ['2023-07-01T12:52:37.123+02', moment],
    ['2023-07-01T05:22:37.123-05:30', moment],
    ['2023-07-01T10:52:37.123', moment],
    ['2023-07-01 10:52:37.123', moment],
    ['2023-07-01 10:52:37.123 +00:00', moment],
    ['  2023-07-01T10:52:37Z ', second],
    ['2023-07-01T10:52Z', minute],
    ['2023-07-01', day],
    ['2023/07/01', day],
    ['07/01/2023', day],
    ['7/1/2023 10:52:37', second],
    ['2023/07/01 10:52:37', second],
    ['Sat, 1 Jul 2023 12:52:37 +0200', second],
    ['Sat, 01 Jul 2023 10:52:37 GMT', second],
    ['Sat Jul 01 2023 12:52:37 GMT+0200 (Central European Summer Time)', second],
    ['1688208757', second],
    ['1688208757.123', moment],
    ['1688208757123', moment],
    [1688208757, second],
    [1688208757.123, moment],
    [1688208757123, moment],
  ];
  for (const [way, expected] of ways) t.equal(parseTimestamp(way), expected, String(way));
});

t.test('what is no time is no time', async (t) => {
  const nothing = [
    '',
    'yesterday',
    '2023',
    '2023-13-01',
    '2023-02-30',
    '2023-07-01T25:00:00Z',
    '12:00',
    'null',
  ];
  for (const value of [
    ...nothing,
    null,
    undefined,
    true,
    {},
    [],
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e300,
  ]) {
    t.equal(parseTimestamp(value), undefined, String(value));
  }
});

t.test('every ISO text of JavaScript is read as Date.parse reads it', async () => {
  fc.assert(fc.property(year(1, 9999), (date) => parseTimestamp(date.toISOString()) === date.getTime()));
});

t.test('no text makes it throw, or answer with what is no time', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d/:TZ+. -]{0,30}$/)), (text) => {
      const time = parseTimestamp(text);
      return time === undefined || !Number.isNaN(new Date(time).getTime());
    }),
  );
});

const MINUTE = 60_000;
const ageMs = fc.integer({ min: 0, max: 1e9 });

t.test("the client's clock is corrected by what it said when it sent", async () => {
  const behind = fc.integer({ min: -1e9, max: -MINUTE - 1 });
  const ahead = fc.integer({ min: 1, max: 1e9 });
  fc.assert(
    fc.property(fc.oneof(behind, ahead), ageMs, (skewMs, ageMs) => {
      const timestamp = new Date(NOW + skewMs - ageMs).toISOString();
      return eventTime({ ...client, timestamp, sentAt: NOW + skewMs }) === NOW - ageMs;
    }),
  );
});

t.test('a request that waited up to a minute moves no event', async () => {
  const waitMs = fc.integer({ min: 0, max: MINUTE });
  fc.assert(
    fc.property(waitMs, ageMs, (waitMs, ageMs) => {
      const time = NOW - waitMs - ageMs;
      const timestamp = new Date(time).toISOString();
      return eventTime({ ...client, timestamp, sentAt: NOW - waitMs }) === time;
    }),
  );
});

t.test('the rules of time, one by one', async (t) => {
  const earlier = '2026-11-22T11:00:00Z';
  const at = (fields: object) => eventTime({ ...client, ...fields });
  t.equal(at({}), NOW, 'without a timestamp it is now');
  t.equal(at({ timestamp: 'soon' }), NOW, 'with one that cannot be read as well');
  t.equal(at({ timestamp: earlier }), NOW - HOUR, 'without sent_at the timestamp holds');
  t.equal(
    at({ timestamp: earlier, sentAt: NOW + HOUR, ignoreSentAt: true }),
    NOW - HOUR,
    'also if it is to be ignored',
  );
  t.equal(at({ sentAt: NOW + HOUR }), NOW, 'sent_at alone says nothing');
  t.equal(at({ timestamp: earlier, sentAt: NOW, offset: 5_000 }), NOW - 5_000, 'the offset overrules');
  t.equal(at({ timestamp: earlier, offset: 0 }), NOW, 'also when it is 0');
  t.equal(at({ timestamp: earlier, offset: '5000' }), NOW - HOUR, 'but not when it is no number');
  t.equal(at({ timestamp: NOW + 23 * HOUR }), NOW + 23 * HOUR, '23 hours ahead are kept');
  t.equal(at({ timestamp: NOW + 23 * HOUR + 1 }), NOW, 'more than that is now');
  t.equal(at({ offset: 1e18 }), 0, 'before the year 1 is 1970');
});

t.test('every time that comes out fits the text that ClickHouse takes', async () => {
  const anything = fc.oneof(fc.double(), fc.string(), year(-9000, 9999).map(String), fc.constant(undefined));
  fc.assert(
    fc.property(
      anything,
      anything,
      fc.option(fc.double(), { nil: undefined }),
      (timestamp, offset, sentAt) => {
        const time = eventTime({ ...client, timestamp, offset, sentAt: parseTimestamp(sentAt) });
        return (
          /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}000$/.test(clickHouseMicros(time)) &&
          /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(clickHouseSeconds(time))
        );
      },
    ),
  );
});

t.test("times in ClickHouse's text", async (t) => {
  const time = Date.parse('2026-01-02T03:04:05.006Z');
  t.equal(clickHouseMicros(time), '2026-01-02 03:04:05.006000');
  t.equal(clickHouseSeconds(time), '2026-01-02 03:04:05');
});
