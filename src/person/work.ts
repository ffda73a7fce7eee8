/** One event at its person: what the stages hand on to one another. */
import type { EventWarning, PipelineEvent } from '../event/event.ts';
import type { PersonUuid } from '../event/ids.ts';
import type { JsonObject } from '../event/json.ts';
import type { PersonMode } from '../event/rows.ts';
import type { Person } from './person.ts';

export interface Work {
  readonly event: PipelineEvent;
  readonly project: Project;
  /** The event's properties as its row will have them. */
  readonly properties: JsonObject;
  readonly elementsChain: string;
  /** Whom the event belongs to, whether there is a profile or not. */
  readonly personUuid: PersonUuid;
  /** The person so far; `undefined` while there is no profile. */
  readonly person: Person | undefined;
  /** The person as this event's row shows it, where that is more than what is kept. */
  readonly shown?: Person;
  readonly mode: PersonMode;
  readonly warnings: readonly EventWarning[];
}

/** What a project's settings say about processing. */
export interface Project {
  readonly anonymizeIps: boolean;
  readonly personProcessingOptOut: boolean;
}

export interface Stage {
  /** Name of the stage, of its metric label and of its test. */
  readonly name: string;
  readonly run: (work: Work) => Work;
}
