/** Held events wait for whoever says who they are about, and no longer than the hold. */
import { type FoldedRecord, type Followed, givesPerson, isHoldable, sourceOf } from './follow.ts';
import type { Ran, SentRecord } from './run.ts';

/** A save may linger, one before it may be under way, and both may be slow. */
const SLACK_MS = 700;

export function checkHold(ran: Ran, { folded }: Followed): string[] {
  if (!ran.plan.calm) return [];
  return [...checkTimes(ran, folded), ...checkIdentifiedInTime(ran, folded)];
}

function checkTimes({ plan }: Ran, folded: ReadonlyMap<string, FoldedRecord>): string[] {
  const failures: string[] = [];
  for (const [source, { record, atMs }] of folded) {
    const waitedMs = atMs - record.event.atMs;
    const allowedMs = SLACK_MS + (isHoldable(record.event) ? plan.process.holdMs : 0);
    if (waitedMs > allowedMs) failures.push(`${source} waited ${waitedMs} ms, ${allowedMs} ms are allowed`);
  }
  return failures;
}

/** An id that somebody identified in time has no person of its own: its held events came after that. */
function checkIdentifiedInTime({ plan, records }: Ran, folded: ReadonlyMap<string, FoldedRecord>): string[] {
  const failures: string[] = [];
  const places = new Map([...folded.keys()].map((source, place) => [source, place]));
  for (const [id, [giver, ...others]] of givers(records)) {
    const held = records.filter(({ event }) => event.distinctId === id && isHoldable(event));
    const [first] = held;
    if (first === undefined || giver.event.atMs > first.event.atMs + plan.process.holdMs - SLACK_MS) continue;
    const given = Math.min(
      ...[giver, ...others].map((one) => places.get(sourceOf(one)) ?? Number.POSITIVE_INFINITY),
    );
    for (const record of held) {
      const place = places.get(sourceOf(record));
      if (place === undefined || place > given) continue;
      failures.push(`${sourceOf(record)} did not wait for ${sourceOf(giver)}, which came in time`);
    }
  }
  return failures;
}

/** For each id the records that give it a person without being held. */
function givers(records: readonly SentRecord[]): ReadonlyMap<string, [SentRecord, ...SentRecord[]]> {
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

/** How often held events went on by a person, and by time or by memory. */
export function releases({ records }: Ran, { folded }: Followed): { byPerson: number; byTime: number } {
  const sources = [...folded.keys()];
  const places = new Map(sources.map((source, place) => [source, place]));
  let byPerson = 0;
  let byTime = 0;
  const given = givers(records);
  for (const [source, { record, meeting, atMs }] of folded) {
    if (!isHoldable(record.event)) continue;
    if (meeting === 'created') byTime += 1;
    const giver = given.get(record.event.distinctId)?.[0];
    if (giver === undefined || giver.event.atMs <= record.event.atMs) continue;
    const givenAt = places.get(sourceOf(giver)) ?? Number.POSITIVE_INFINITY;
    if (givenAt < (places.get(source) ?? 0) && atMs > record.event.atMs) byPerson += 1;
  }
  return { byPerson, byTime };
}
