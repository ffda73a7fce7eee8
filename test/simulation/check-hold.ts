/** Held events wait for whoever says who they are about, and no longer than the hold. */
import { type FoldedRecord, type Followed, givesPerson, isHoldable, sourceOf } from './follow.ts';
import type { Ran, SentRecord } from './run.ts';

/** A save may linger, one before it may be under way, and both may be slow. */
const SLACK_MS = 700;

export function checkHold(ran: Ran, { folded }: Followed): string[] {
  const { plan, records } = ran;
  const given = givers(records);
  return [
    ...(plan.calm ? checkTimes(ran, folded, given) : []),
    ...(plan.calm || plan.patient ? checkIdentifiedInTime(ran, folded, given) : []),
  ];
}

/** Nothing waits longer than the hold, or than until its id has got a person. */
function checkTimes({ plan }: Ran, folded: ReadonlyMap<string, FoldedRecord>, given: Givers): string[] {
  const failures: string[] = [];
  for (const [source, { record, atMs }] of folded) {
    const { event } = record;
    const givenMs = given.get(event.distinctId)?.[0].event.atMs ?? Number.POSITIVE_INFINITY;
    const heldMs = isHoldable(event) ? Math.min(plan.process.holdMs, Math.max(0, givenMs - event.atMs)) : 0;
    const waitedMs = atMs - event.atMs;
    const allowedMs = SLACK_MS + heldMs;
    if (waitedMs > allowedMs) failures.push(`${source} waited ${waitedMs} ms, ${allowedMs} ms are allowed`);
  }
  return failures;
}

/**
 * An id that somebody identified in time has no person of its own: its held events came after that. Whatever stops or
 * backlogs there were, where both are in one partition.
 */
function checkIdentifiedInTime(
  { plan, records }: Ran,
  folded: ReadonlyMap<string, FoldedRecord>,
  given: Givers,
): string[] {
  const failures: string[] = [];
  const places = new Map([...folded.keys()].map((source, place) => [source, place]));
  for (const [id, [giver, ...others]] of given) {
    const held = records.filter(({ event }) => event.distinctId === id && isHoldable(event));
    const [first] = held;
    if (first === undefined || giver.event.atMs > first.event.atMs + plan.process.holdMs - SLACK_MS) continue;
    if (!plan.calm && giver.partition !== first.partition) continue;
    const placesOf = [giver, ...others].map((one) => places.get(sourceOf(one)) ?? Number.POSITIVE_INFINITY);
    for (const record of held) {
      const place = places.get(sourceOf(record));
      if (place === undefined || place > Math.min(...placesOf)) continue;
      failures.push(`${sourceOf(record)} did not wait for ${sourceOf(giver)}, which came in time`);
    }
  }
  return failures;
}

type Givers = ReadonlyMap<string, readonly [SentRecord, ...SentRecord[]]>;

/** For each id the records that give it a person without being held. */
function givers(records: readonly SentRecord[]): Givers {
  const found = new Map<string, [SentRecord, ...SentRecord[]]>();
  for (const record of records) {
    for (const id of givesPerson(record.event)) {
      const others = found.get(id);
      if (others) others.push(record);
      else found.set(id, [record]);
    }
  }
  return found;
}
