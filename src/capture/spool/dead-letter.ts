/** What becomes of an event that the log refuses for its own sake: a row of `events_dead_letter_queue`. */
import { parseUuid } from '../../event/ids.ts';
import { deadLetterRow } from '../../event/rows.ts';
import { scrubText } from '../../event/scrub.ts';
import { newEventUuid } from '../../ids.ts';
import { LIMITS } from '../../limits.ts';
import { rawPayload } from '../../raw-payload.ts';
import type { AppendRecord } from '../../storage/event-log.ts';

/** `detail`: the log's words. A repeat for the same event gives a row of the same id: that of the event. */
export function deadLetterOf(
  { value, headers, timestamp }: AppendRecord,
  detail: string,
  atMs: number,
): AppendRecord {
  const eventUuid = parseUuid(headers['uuid'] ?? '');
  const id = eventUuid ?? newEventUuid();
  const letter = deadLetterRow({
    id,
    reason: 'refused_by_log',
    stage: 'capture',
    detail: scrubText(detail.slice(0, LIMITS.loader.refusalCharsMax)),
    source: 'spool',
    eventUuid,
    eventName: scrubText(headers['event'] ?? ''),
    distinctId: scrubText(headers['distinct_id'] ?? ''),
    // Nobody has asked whose token it is.
    teamId: 0,
    rawPayload: rawPayload(Buffer.from(value), LIMITS.worker.deadLetterPayloadBytesMax),
    atMs,
  });
  return { topic: 'events_dead_letter_queue', key: id, value: letter, headers: {}, timestamp };
}
