/** A person: whom events belong to. */
import type { PersonUuid, TeamId } from '../event/ids.ts';
import type { JsonObject } from '../event/json.ts';

export interface Person {
  readonly uuid: PersonUuid;
  readonly teamId: TeamId;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly properties: JsonObject;
  readonly isIdentified: boolean;
  /** Rises with every save; ClickHouse keeps the row with the highest. */
  readonly version: number;
}

/** While the person is being made: its first save adds one. */
export const UNSAVED_VERSION = -1;

/** What the row of an event without a person shows as the person's creation: PostHog's placeholder. */
export const NO_PERSON_CREATED_AT_MS = 5_000;
