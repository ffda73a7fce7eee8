/** A held event, packed: as text it takes a third of what its objects would, and gives the garbage collector no work. */
import type { PipelineEvent } from '../event/event.ts';
import type { DistinctId, EventUuid, TeamId } from '../event/ids.ts';
import type { Entry } from './entry.ts';

/** This object, its fields and its places in lists; measured on Node 20. */
const OVERHEAD_BYTES = 500;

export class Held {
  readonly uuid: EventUuid;
  readonly teamId: TeamId;
  readonly distinctId: DistinctId;
  readonly partition: number;
  readonly offset: number;
  readonly recordedAtMs: number;
  readonly seenAtMs: number;
  readonly #entry: Omit<Entry, 'event' | 'released'>;
  readonly #text: string;
  /** Its time is over: it is not held again. */
  released = false;

  constructor({ event, released, ...entry }: Entry) {
    this.uuid = event.uuid;
    this.teamId = event.teamId;
    this.distinctId = event.distinctId;
    this.partition = entry.partition;
    this.offset = entry.offset;
    this.recordedAtMs = entry.recordedAtMs;
    this.seenAtMs = entry.seenAtMs;
    this.released = released;
    this.#entry = entry;
    this.#text = JSON.stringify(event);
  }

  /** About as many bytes as it takes in memory. */
  get bytes(): number {
    return this.#text.length + OVERHEAD_BYTES;
  }

  open(): Entry {
    const event: PipelineEvent = JSON.parse(this.#text);
    return { ...this.#entry, event, released: this.released };
  }
}
