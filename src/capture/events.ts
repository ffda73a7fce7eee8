/** From the body of a request to records for the log: all of its events, or a refusal of the whole request. */
import type { EventUuid, Token } from '../event/ids.ts';
import type { Json, JsonObject } from '../event/json.ts';
import type { DiscardReason } from '../event/outcome.ts';
import { isRestricted, type Restrictions } from '../event/restriction.ts';
import { mayNeedScrub, scrub } from '../event/scrub.ts';
import { parseTimestamp } from '../event/timestamp.ts';
import type { AppendRecord } from '../storage/event-log.ts';
import { RECORD_OVERHEAD_BYTES, type RequestFacts, toRecord } from './envelope.ts';
import { nextTurn } from './queue.ts';
import { Refusal } from './refusal.ts';
import type { Batch } from './shape.ts';
import { checkBounds, discardReason, type EventLimits, refuse, validateEvent } from './validate.ts';

export interface BatchLimits extends EventLimits {
  readonly eventsPerBatchMax: number;
  readonly eventBytesMax: number;
}

/** How much is done at most before others have their turn. */
export interface PieceLimits {
  readonly pieceBytesMax: number;
  readonly pieceEventsMax: number;
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
  const judge = new Judge(batch, text, context, newUuid, limits);
  for (const [index, event] of batch.events.entries()) {
    judge.next(event, index);
    if (judge.taken.refused.size > 0) break;
  }
  return judge.firstRefusal ?? judge.taken;
}

/** The same for a large body: between pieces of the work everybody else has a turn. */
export async function judgeInTurns(
  batch: Batch,
  text: string,
  context: RequestContext,
  newUuid: () => EventUuid,
  limits: BatchLimits & PieceLimits,
  isAllOrNothing: boolean,
): Promise<Taken | Refusal> {
  const judge = new Judge(batch, text, context, newUuid, limits);
  let events = 0;
  let bytes = 0;
  for (const [index, event] of batch.events.entries()) {
    judge.next(event, index);
    if (isAllOrNothing && judge.firstRefusal) return judge.firstRefusal;
    events++;
    if (events < limits.pieceEventsMax && judge.taken.bytes - bytes < limits.pieceBytesMax) continue;
    events = 0;
    bytes = judge.taken.bytes;
    await nextTurn();
  }
  return judge.taken;
}

/** Each event by itself. */
export function judgeEvents(
  batch: Batch,
  text: string,
  context: RequestContext,
  newUuid: () => EventUuid,
  limits: BatchLimits,
): Taken {
  const judge = new Judge(batch, text, context, newUuid, limits);
  for (const [index, event] of batch.events.entries()) judge.next(event, index);
  return judge.taken;
}

interface Judged extends Taken {
  readonly records: AppendRecord[];
  readonly discarded: Map<DiscardReason, number>;
  readonly refused: Map<number, Refusal>;
  bytes: number;
}

/** Takes the events of a batch one after the other. */
class Judge {
  readonly taken: Judged = { records: [], bytes: 0, discarded: new Map(), refused: new Map() };
  readonly #batch: Batch;
  readonly #text: string;
  readonly #nameIfAbsent: string | undefined;
  readonly #needsScrub: boolean;
  readonly #facts: RequestFacts;
  readonly #restrictions: Restrictions;
  readonly #newUuid: () => EventUuid;
  readonly #limits: BatchLimits;

  constructor(
    batch: Batch,
    text: string,
    context: RequestContext,
    newUuid: () => EventUuid,
    limits: BatchLimits,
  ) {
    this.#batch = batch;
    this.#text = text;
    this.#nameIfAbsent = context.isEngage ? '$identify' : undefined;
    this.#needsScrub = mayNeedScrub(text);
    this.#facts = factsOf(batch, context);
    this.#restrictions = context.restrictions;
    this.#newUuid = newUuid;
    this.#limits = limits;
  }

  get firstRefusal(): Refusal | undefined {
    for (const refusal of this.taken.refused.values()) return refusal;
    return undefined;
  }

  next(original: Json, index: number): void {
    const { taken } = this;
    const limits = this.#limits;
    const event = readEvent(this.#batch, original, index, this.#needsScrub, limits);
    if (event instanceof Refusal) {
      taken.refused.set(index, event);
      return;
    }
    const discard = discardReason(event);
    if (discard !== undefined) {
      count(taken.discarded, discard);
      return;
    }
    const valid = validateEvent(event, index, this.#nameIfAbsent, limits);
    if (valid instanceof Refusal) {
      taken.refused.set(index, valid);
      return;
    }
    if (isRestricted(this.#restrictions, 'drop', valid.distinctId)) {
      count(taken.discarded, 'restriction');
      return;
    }
    // The client's own text, where it is the event's: nothing is faster than not making it again.
    const data = this.#batch.isSingle && event === original ? this.#text : JSON.stringify(event);
    const record = toRecord(valid, valid.uuid ?? this.#newUuid(), event, data, this.#facts);
    const valueBytes = Buffer.byteLength(record.value);
    if (valueBytes + RECORD_OVERHEAD_BYTES > limits.eventBytesMax) {
      const fault = `it takes ${valueBytes} bytes on the log, more than ${limits.eventBytesMax}`;
      taken.refused.set(index, refuse('event_too_large', event, index, fault));
      return;
    }
    taken.records.push(record);
    taken.bytes += valueBytes;
  }
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
