/** Where identifiers come from. The only file that imports uuid. */
import { v5, v7 } from 'uuid';
import { asEventUuid, asPersonUuid, type DerivePersonUuid, type EventUuid } from './event/ids.ts';

/** PostHog's, so that both derive the same person from the same distinct id. */
const PERSON_NAMESPACE = '932979b4-65c3-4424-8467-0b66ec27bc22';
/** ClickHouse derives the same UUIDs in `kafka-engine.ts`. */
export const RECORD_NAMESPACE = '5f6a1c2e-9d0b-4e3f-8a77-3c1d2b4e5f60';

export const derivePersonUuid: DerivePersonUuid = (teamId, distinctId) =>
  asPersonUuid(v5(`${teamId}:${distinctId}`, PERSON_NAMESPACE));

/** One UUID for one record of a log, for what a repeat must not make twice. */
export const deriveRecordUuid = (topic: string, partition: number, offset: number): string =>
  v5(`${topic}:${partition}:${offset}`, RECORD_NAMESPACE);

const MESSAGE_NAMESPACE = '0c4a6d0e-7f5b-4c52-9f0e-2b6f3d1c8a97';

/** One UUID for one message of a Segment client, whose `messageId` is any text. */
export const deriveMessageUuid = (messageId: string): EventUuid =>
  asEventUuid(v5(messageId, MESSAGE_NAMESPACE));

/** A new UUID (v7): in order of time. */
export const newEventUuid = (): EventUuid => asEventUuid(v7());
