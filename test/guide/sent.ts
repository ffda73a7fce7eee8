/** What goes in: events as SDKs send them, and the records that capture makes of them. */

import { takeEvents } from '../../src/capture/events.ts';
import { Refusal } from '../../src/capture/refusal.ts';
import { shapeOf } from '../../src/capture/shape.ts';
import { asDistinctId, asEventUuid, asTeamId, asToken } from '../../src/event/ids.ts';
import type { Json, JsonObject } from '../../src/event/json.ts';
import { UNRESTRICTED } from '../../src/event/restriction.ts';
import { derivePersonUuid } from '../../src/ids.ts';
import { LIMITS } from '../../src/limits.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';

export const TEAM = asTeamId(1);
export const TOKEN = asToken('phc_guide');

/** An event as an SDK puts it into a batch. */
export interface Sent {
  readonly event: string;
  readonly distinct_id: Json;
  readonly properties?: JsonObject;
  readonly [field: string]: Json | undefined;
}

/** What a request says beside its events. */
export interface Request {
  /** The client's clock when it sent the request. */
  readonly sent_at?: string;
  readonly historical_migration?: boolean;
}

/** The uuid of the person that is made for this id. */
export const uuidOf = (distinctId: string): string => derivePersonUuid(TEAM, asDistinctId(distinctId));

/** The events get these uuids one after another, from 1 on, unless they bring their own. */
export const eventUuid = (number: number) =>
  asEventUuid(`00000000-0000-7000-8000-${String(number).padStart(12, '0')}`);

/** What capture puts on the log for a batch that comes at `nowMs` from `ip`: pure. */
export function captured(
  events: readonly Sent[],
  request: Request,
  nowMs: number,
  newUuid: () => ReturnType<typeof eventUuid>,
): readonly AppendRecord[] {
  const text = JSON.stringify({ api_key: TOKEN, batch: events, ...request });
  const batch = shapeOf(JSON.parse(text));
  if (batch instanceof Refusal) throw new Error(batch.text);
  const context = {
    token: TOKEN,
    ip: '203.0.113.9',
    now: nowMs,
    sentAtQuery: '',
    isEngage: false,
    restrictions: UNRESTRICTED,
  };
  const taken = takeEvents(batch, text, context, newUuid, LIMITS.capture);
  if (taken instanceof Refusal) throw new Error(taken.text);
  return taken.records;
}
