/**
 * What a large JSON text will cost, and where its events stand, read from its brackets and commas alone: so that it can
 * be refused before anything is made of it, and parsed in pieces.
 */
import { Refusal } from './refusal.ts';

export interface OutlineLimits {
  readonly eventsPerBatchMax: number;
  readonly pieceBytesMax: number;
  /** What an event may have: said where it is plain that it has more. */
  readonly jsonDepthMax: number;
  readonly jsonKeysMax: number;
  readonly parsedDepthMax: number;
  readonly parsedEventKeysMax: number;
  readonly parsedKeysMax: number;
}

/** The array of events, as places in the text. */
export interface Outline {
  /** Behind its opening bracket. */
  readonly start: number;
  /** Behind the last event of each piece: at a comma, in the end at the closing bracket. */
  readonly ends: readonly number[];
}

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * `undefined`: there is no array of events, neither as the text itself nor as the member "batch" of its object. The
 * text need not be JSON; what is not is found by the parser.
 */
export function outlineOf(text: string, limits: OutlineLimits): Outline | Refusal | undefined {
  let depth = 0;
  let keys = 0;
  /** Of the event that is being read. */
  let eventKeys = 0;
  let events = 0;
  /** The depth inside of the array of events, once it has begun. */
  let inside = 0;
  let start = 0;
  let ends: number[] = [];
  let pieceStart = 0;
  let isFound = false;

  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      at = endOfString(text, at);
    } else if (unit === OPEN_ARRAY || unit === OPEN_OBJECT) {
      depth++;
      // The first member; each comma brings another one.
      keys++;
      eventKeys++;
      if (depth > limits.parsedDepthMax) return tooDeep(limits.jsonDepthMax);
      if (unit === OPEN_ARRAY && inside === 0 && isArrayOfEvents(text, at, depth)) {
        if (isFound) return new Refusal('malformed_body', '"batch" stands twice in the body: send it once');
        isFound = true;
        inside = depth;
        start = at + 1;
        pieceStart = start;
        ends = [];
        events = 1;
        eventKeys = 0;
      }
    } else if (unit === COMMA) {
      keys++;
      eventKeys++;
      if (depth === inside) {
        events++;
        eventKeys = 0;
        if (at - pieceStart >= limits.pieceBytesMax) {
          ends.push(at);
          pieceStart = at + 1;
        }
      }
    } else if (unit === CLOSE_ARRAY || unit === CLOSE_OBJECT) {
      if (depth === inside && inside > 0) {
        ends.push(at);
        inside = 0;
        eventKeys = 0;
      }
      depth--;
    }
    if (eventKeys > limits.parsedEventKeysMax) return tooManyKeys('an event', limits.jsonKeysMax);
    if (keys > limits.parsedKeysMax) return tooManyKeys('the body', limits.parsedKeysMax);
  }
  if (events > limits.eventsPerBatchMax) return tooManyEvents(events, limits.eventsPerBatchMax);
  // An array that is not closed is no JSON: the parser says where.
  return isFound && inside === 0 ? { start, ends } : undefined;
}

/** The place of its closing quote. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) return at;
    if (unit === BACKSLASH) at++;
  }
  return at;
}

const COLON = 0x3a;
const KEY = '"batch"';

/** The text itself, or the member "batch" of its object. */
function isArrayOfEvents(text: string, at: number, depth: number): boolean {
  if (depth !== 2) return depth === 1;
  const colon = beforeBlanks(text, at);
  if (text.charCodeAt(colon) !== COLON) return false;
  const start = beforeBlanks(text, colon) + 1 - KEY.length;
  // A quote that is escaped stands within a longer key.
  return start > 0 && text.startsWith(KEY, start) && text.charCodeAt(start - 1) !== BACKSLASH;
}

/** The last place before `at` that is no blank. */
function beforeBlanks(text: string, at: number): number {
  let before = at - 1;
  while (before > 0 && text.charCodeAt(before) <= SPACE) before--;
  return before;
}

const tooDeep = (depthMax: number): Refusal =>
  new Refusal('too_deep', `the body is nested more than ${depthMax} deep`);

const tooManyKeys = (what: string, keysMax: number): Refusal =>
  new Refusal('too_many_keys', `${what} has more than ${keysMax} keys and array elements`);

export function tooManyEvents(events: number, eventsMax: number): Refusal {
  const text = `the batch holds ${events} events, more than ${eventsMax}: send fewer at once`;
  return new Refusal('too_many_events', text);
}
