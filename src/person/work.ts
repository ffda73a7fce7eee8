/** One event at its person: what the stages hand on to one another. */
import type { EventWarning, PipelineEvent } from '../event/event.ts';
import type { DistinctId, PersonUuid } from '../event/ids.ts';
import type { JsonObject } from '../event/json.ts';
import type { DeadLetterReason } from '../event/outcome.ts';
import type { PersonMode } from '../event/rows.ts';
import type { ResolvedGroups } from './group.ts';
import type { Seen } from './known.ts';
import type { Person } from './person.ts';

export interface Work {
  readonly event: PipelineEvent;
  readonly project: Project;
  /** It was folded before: nothing may change. */
  readonly repeat: boolean;
  /** Persons and ids as the events before it left them. */
  readonly known: Seen;
  /** Persons with more ids than one merge may move. */
  readonly overfull: ReadonlySet<PersonUuid>;
  /** The event's properties as its row will have them. */
  readonly properties: JsonObject;
  readonly elementsChain: string;
  /** Whom the event belongs to, whether there is a profile or not. */
  readonly personUuid: PersonUuid;
  /** The person so far; `undefined` while there is no profile. */
  readonly person: Person | undefined;
  /** Ids that get this person as their first one. */
  readonly attached: readonly DistinctId[];
  /** A person that this event merges into `person`. */
  readonly mergedAway: Person | undefined;
  /** A person that is made is identified from the start. */
  readonly identified?: true;
  readonly groups: ResolvedGroups;
  /** The event cannot be taken, and changes nothing. */
  readonly refused?: {
    readonly reason: Extract<DeadLetterReason, 'merge_too_large'>;
    readonly message: string;
  };
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
