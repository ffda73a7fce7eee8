/** Where identifiers come from. The only file of the source that imports uuid. */
import { hash } from 'node:crypto';
import { parse, v7 } from 'uuid';
import { asEventUuid, asPersonUuid, type DerivePersonUuid, type EventUuid } from './event/ids.ts';
import { utf8After } from './utf8.ts';

/** PostHog's, so that both derive the same person from the same distinct id. */
const PERSON_NAMESPACE = '932979b4-65c3-4424-8467-0b66ec27bc22';
/** ClickHouse derives the same UUIDs in `kafka-engine.ts`. */
export const RECORD_NAMESPACE = '5f6a1c2e-9d0b-4e3f-8a77-3c1d2b4e5f60';

const MESSAGE_NAMESPACE = '0c4a6d0e-7f5b-4c52-9f0e-2b6f3d1c8a97';

const inPersons = deriverIn(PERSON_NAMESPACE);
const inRecords = deriverIn(RECORD_NAMESPACE);
const inMessages = deriverIn(MESSAGE_NAMESPACE);

export const derivePersonUuid: DerivePersonUuid = (teamId, distinctId) =>
  asPersonUuid(inPersons(`${teamId}:${distinctId}`));

/** One UUID for one record of a log, for what a repeat must not make twice. */
export const deriveRecordUuid = (topic: string, partition: number, offset: number): string =>
  inRecords(`${topic}:${partition}:${offset}`);

/** One UUID for one message of a Segment client, whose `messageId` is any text. */
export const deriveMessageUuid = (messageId: string): EventUuid => asEventUuid(inMessages(messageId));

/** A new UUID (v7): in order of time. */
export const newEventUuid = (): EventUuid => asEventUuid(v7());

/**
 * UUIDs of version 5 in a namespace. Those of the library make buffers and an object for each, which were a part of the
 * longest pauses of the event loop with many new persons.
 */
export function deriverIn(namespace: string): (name: string) => string {
  const bytesOf = utf8After(parse(namespace));
  return (name) => {
    const hex = hash('sha1', bytesOf(name));
    const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
    // Joined, so that it is one text: from `+` V8 keeps a tree of the parts for as long as it is in a cache.
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      `5${hex.slice(13, 16)}`,
      variant + hex.slice(17, 20),
      hex.slice(20, 32),
    ].join('-');
  };
}
