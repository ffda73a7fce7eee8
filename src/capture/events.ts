/** From the body of a request to records for the log: all of its events, or a refusal of the whole request. */
import type { EventUuid, Token } from '../event/ids.ts';
import type { Json, JsonObject } from '../event/json.ts';
import type { DiscardReason } from '../event/outcome.ts';
import { isRestricted, type Restrictions } from '../event/restriction.ts';
import { mayNeedScrub, scrub } from '../event/scrub.ts';
import { parseTimestamp } from '../event/timestamp.ts';
import type { AppendRecord } from '../storage/event-log.ts';
import { RECORD_OVERHEAD_BYTES, type RequestFacts, toRecord } from './envelope.ts';
import { Refusal } from './refusal.ts';
import type { Batch } from './shape.ts';
import { checkBounds, discardReason, type EventLimits, refuse, validateEvent } from './validate.ts';

export interface BatchLimits extends EventLimits {
  readonly eventsPerBatchMax: number;
  readonly eventBytesMax: number;
}

/** What a request says besides its body. */
export interface RequestContext {
  readonly token: Token;
  /** Of the project, as far as it is known. */
  readonly restrictions: Restrictions;
  readonly ip: string;
  /** Our clock, milliseconds since the epoch. */
  readonly now: number;
  /** The query parameter `_`, empty if there is none. */
  readonly sentAtQuery: string;
  /** Posted to `/engage`, whose events may lack a name. */
  readonly isEngage: boolean;
}

export interface Taken {
  readonly records: readonly AppendRecord[];
  /** Of the records' values. */
  readonly bytes: number;
  readonly discarded: ReadonlyMap<DiscardReason, number>;
  /** By the event's place in the batch. */
  readonly refused: ReadonlyMap<number, Refusal>;
}

/** All events or none. `text`: the body's JSON text. The records are in the order of the events. */
export function takeEvents(
  batch: Batch,
  text: string,
  context: RequestContext,
  newUuid: () => EventUuid,
  limits: BatchLimits,
): Taken | Refusal {
  const taken = judgeEvents(batch, text, context, newUuid, limits, true);
  for (const refusal of taken.refused.values()) return refusal;
  return taken;
}

/** Each event by itself; `stopsAtFirst`: until the first that is refused. */
export function judgeEvents(
  batch: Batch,
  text: string,
  context: RequestContext,
  newUuid: () => EventUuid,
  limits: BatchLimits,
  stopsAtFirst = false,
): Taken {
  const nameIfAbsent = context.isEngage ? '$identify' : undefined;
  const needsScrub = mayNeedScrub(text);
  const facts = factsOf(batch, context);
  const records: AppendRecord[] = [];
  const discarded = new Map<DiscardReason, number>();
  const refused = new Map<number, Refusal>();
  let bytes = 0;
  for (const [index, original] of batch.events.entries()) {
    if (stopsAtFirst && refused.size > 0) break;
    const event = readEvent(batch, original, index, needsScrub, limits);
    if (event instanceof Refusal) {
      refused.set(index, event);
      continue;
    }
    const discard = discardReason(event);
    if (discard !== undefined) {
      count(discarded, discard);
      continue;
    }
    const valid = validateEvent(event, index, nameIfAbsent, limits);
    if (valid instanceof Refusal) {
      refused.set(index, valid);
      continue;
    }
    if (isRestricted(context.restrictions, 'drop', valid.distinctId)) {
      count(discarded, 'restriction');
      continue;
    }
    // The client's own text, where it is the event's: nothing is faster than not making it again.
    const data = batch.isSingle && event === original ? text : JSON.stringify(event);
    const record = toRecord(valid, valid.uuid ?? newUuid(), event, data, facts);
    const valueBytes = Buffer.byteLength(record.value);
    if (valueBytes + RECORD_OVERHEAD_BYTES > limits.eventBytesMax) {
      const fault = `it takes ${valueBytes} bytes on the log, more than ${limits.eventBytesMax}`;
      refused.set(index, refuse('event_too_large', event, index, fault));
      continue;
    }
    records.push(record);
    bytes += valueBytes;
  }
  return { records, bytes, discarded, refused };
}

function count(discarded: Map<DiscardReason, number>, reason: DiscardReason): void {
  discarded.set(reason, (discarded.get(reason) ?? 0) + 1);
}

/** Within the bounds, scrubbed, and in the words of v0. */
function readEvent(
  { toEvent }: Batch,
  original: Json,
  index: number,
  needsScrub: boolean,
  limits: EventLimits,
): JsonObject | Refusal {
  const bounded = checkBounds(original, index, limits);
  if (bounded instanceof Refusal) return bounded;
  const scrubbed = needsScrub ? scrub(bounded) : bounded;
  return toEvent === undefined ? scrubbed : toEvent(scrubbed, index);
}

function factsOf(batch: Batch, { token, ip, now, sentAtQuery }: RequestContext): RequestFacts {
  return {
    token,
    ip,
    now,
    nowText: new Date(now).toISOString(),
    sentAt: sentAtOf(batch.sentAt, sentAtQuery),
    isHistorical: batch.isHistorical,
  };
}

const YEAR_2021 = Date.UTC(2021);
const YEAR_10000 = Date.UTC(10_000);

/** The body's `sent_at`, else the query's milliseconds; seconds would be a time long ago, and are not used. */
function sentAtOf(body: Json | undefined, query: string): number | undefined {
  const fromBody = parseTimestamp(body);
  if (fromBody !== undefined || !/^\d+$/.test(query)) return fromBody;
  const fromQuery = Number(query);
  return fromQuery >= YEAR_2021 && fromQuery < YEAR_10000 ? fromQuery : undefined;
}
