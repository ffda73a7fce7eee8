/** When an event happened: what the client says, corrected by what its clock said when it sent it. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** An event further in the future than this happened now. */
const FUTURE_MAX_MS = 23 * HOUR;
/**
 * A `sent_at` that is at most so old says nothing about the client's clock: the request may have waited. posthog-node
 * writes it once and sends it with every try, up to four of 10 s each with 3 s in between.
 */
const SENT_AT_AGE_MAX_MS = MINUTE;
const YEAR_1 = -62_135_596_800_000;
const YEAR_10000 = 253_402_300_800_000;
/** The furthest that a `Date` reaches, either way. */
const DATE_MAX = 8_640_000_000_000_000;
/** Numbers below it are seconds, the others milliseconds (it is the year 5138, or March 1973). */
const SECONDS_BELOW = 100_000_000_000;

/** What a client sent about time. All times are milliseconds since the epoch. */
export interface ClientTime {
  /** The event's `timestamp`: text in a known format, or a number of seconds or milliseconds. */
  readonly timestamp: unknown;
  /** The event's `offset`: how many milliseconds before `now` it happened. Overrules `timestamp`. */
  readonly offset: unknown;
  /** The client's clock when it sent the request. */
  readonly sentAt: number | undefined;
  /** `$ignore_sent_at`: the client's clock is not to be corrected. */
  readonly ignoreSentAt: boolean;
  /** Our clock when the request came. */
  readonly now: number;
}

/** Whether ClickHouse's text for times can say it: it lies in the years 1 to 9999. */
export const isStorableTime = (epochMs: number): boolean => epochMs >= YEAR_1 && epochMs < YEAR_10000;

/** Milliseconds since the epoch, in the years 1 to 9999. */
export function eventTime(client: ClientTime): number {
  const { now } = client;
  const time = claimedTime(client);
  if (time - now > FUTURE_MAX_MS) return now;
  return isStorableTime(time) ? time : 0;
}

function claimedTime({ timestamp, offset, sentAt, ignoreSentAt, now }: ClientTime): number {
  if (typeof offset === 'number' && Number.isFinite(offset)) return now - Math.trunc(offset);
  const time = parseTimestamp(timestamp);
  if (time === undefined) return now;
  if (sentAt === undefined || ignoreSentAt) return time;
  const ageMs = now - sentAt;
  return ageMs >= 0 && ageMs <= SENT_AT_AGE_MAX_MS ? time : time + ageMs;
}

/**
 * Milliseconds since the epoch of a time in any format that SDKs have been seen to send: RFC 3339 (also with a
 * space for the `T`, without seconds, with the zone `+HH`, or without a zone, which means UTC), a date alone (its
 * midnight), `YYYY/MM/DD` and `MM/DD/YYYY`, RFC 2822 and JavaScript's `Date.toString()`, seconds or milliseconds
 * as a number or as digits. `undefined` if it is none of these.
 */
export function parseTimestamp(value: unknown): number | undefined {
  if (typeof value === 'number') return fromNumber(value);
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  return fromIso(text) ?? fromSlashes(text) ?? fromDigits(text) ?? fromWords(text);
}

const TIME = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?`;
const ISO = new RegExp(String.raw`^(\d{4})-(\d\d)-(\d\d)(?:[T ]${TIME})?$`, 'i');
const YEAR_FIRST = new RegExp(String.raw`^(\d{4})/(\d\d?)/(\d\d?)(?:[T ]${TIME})?$`, 'i');
const YEAR_LAST = new RegExp(String.raw`^(\d\d?)/(\d\d?)/(\d{4})(?:[T ]${TIME})?$`, 'i');
const DIGITS = /^-?\d{9,13}(?:\.\d+)?$/;
/** A month by name, a year, and a zone at the end: without the zone the answer would depend on this machine. */
const WORDS = /^(?=.*[a-z]{3})(?=.*\d{4}).*(?:GMT|UTC?|Z|[+-]\d{4})(?:\s*\(.*\))?$/i;

function fromIso(text: string): number | undefined {
  const match = ISO.exec(text);
  return match ? fromParts(match[1], match[2], match[3], match) : undefined;
}

function fromSlashes(text: string): number | undefined {
  const yearFirst = YEAR_FIRST.exec(text);
  if (yearFirst) return fromParts(yearFirst[1], yearFirst[2], yearFirst[3], yearFirst);
  const yearLast = YEAR_LAST.exec(text);
  return yearLast ? fromParts(yearLast[3], yearLast[1], yearLast[2], yearLast) : undefined;
}

/** `match` holds hour, minute, second, fraction and zone from 4 on. */
function fromParts(
  yearText: string | undefined,
  monthText: string | undefined,
  dayText: string | undefined,
  match: RegExpExecArray,
): number | undefined {
  const month = Number(monthText);
  const day = Number(dayText);
  const hour = Number(match[4] ?? 0);
  const minute = Number(match[5] ?? 0);
  const second = Number(match[6] ?? 0);
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const zone = zoneMs(match[8]);
  if (zone === undefined) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(Number(yearText), month - 1, day);
  // A day that the month does not have has rolled over.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const milliseconds = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  return date.getTime() + hour * HOUR + minute * MINUTE + second * SECOND + milliseconds - zone;
}

/** Of `Z`, `+HH`, `+HHMM` or `+HH:MM`; no zone is UTC. */
function zoneMs(zone: string | undefined): number | undefined {
  if (zone === undefined || zone === 'Z' || zone === 'z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', '') || 0);
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (hours * HOUR + minutes * MINUTE);
}

function fromDigits(text: string): number | undefined {
  return DIGITS.test(text) ? fromNumber(Number(text)) : undefined;
}

function fromNumber(value: number): number | undefined {
  const time = Math.trunc(Math.abs(value) < SECONDS_BELOW ? value * SECOND : value);
  return Math.abs(time) <= DATE_MAX ? time : undefined;
}

function fromWords(text: string): number | undefined {
  const time = WORDS.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** `yyyy-MM-dd HH:mm:ss.SSS` in UTC of the last time asked for: events come in bursts of one moment. */
const last = { epochMs: Number.NaN, text: '' };

function utcText(epochMs: number): string {
  if (epochMs !== last.epochMs) {
    last.text = new Date(epochMs).toISOString().slice(0, 23).replace('T', ' ');
    last.epochMs = epochMs;
  }
  return last.text;
}

/** `yyyy-MM-dd HH:mm:ss.SSS000` in UTC, for DateTime64(6). */
export function clickHouseMicros(epochMs: number): string {
  return `${utcText(epochMs)}000`;
}

/** `yyyy-MM-dd HH:mm:ss` in UTC, for DateTime. */
export function clickHouseSeconds(epochMs: number): string {
  return utcText(epochMs).slice(0, 19);
}
