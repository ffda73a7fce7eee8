/** Folds events into their person, one after another. Pure, so that a save can do it again on the row it locked. */
import type { EventWarning, PipelineEvent } from '../event/event.ts';
import type { PersonUuid } from '../event/ids.ts';
import type { DeadLetterReason } from '../event/outcome.ts';
import { eventRow, type PersonOnRow } from '../event/rows.ts';
import { clientProperties } from './client-properties.ts';
import { NO_PERSON_CREATED_AT_MS, type Person } from './person.ts';
import { hasChanges, propertyChanges } from './properties.ts';
import { wantsProfile } from './stages/profile.ts';
import { STAGES } from './stages.ts';
import type { Project, Work } from './work.ts';

/** An event to fold. */
export interface Foldable {
  readonly event: PipelineEvent;
  readonly project: Project;
  /** It was folded before, and only its row is to be sent again. */
  readonly repeat: boolean;
}

export interface Folded {
  /** The person after all of them; `undefined` if none of them wanted a profile and there was none. */
  readonly person: Person | undefined;
  /** Whether `person` differs from the one that it began with, and has to be saved. */
  readonly changed: boolean;
  /** What became of each event, in their order. */
  readonly outcomes: readonly FoldOutcome[];
}

export type FoldOutcome =
  | {
      readonly kind: 'row';
      /** JSON text for `clickhouse_events_json`. */
      readonly row: string;
      readonly warnings: readonly EventWarning[];
    }
  /** A stage, or the save, could not take the event; it changed nothing. */
  | {
      readonly kind: 'failed';
      readonly reason: Extract<DeadLetterReason, 'stage_failed' | 'refused_by_postgres'>;
      readonly stage: string;
      readonly message: string;
    };

/** The person's version after the fold is the one that a save gives it: one more, or 0 for a new person. */
export function foldEvents(
  base: Person | undefined,
  personUuid: PersonUuid,
  events: readonly Foldable[],
): Folded {
  const outcomes: FoldOutcome[] = [];
  const text = personText();
  let person = base;
  for (const foldable of events) {
    const work = runStages(foldable, personUuid, person);
    if ('kind' in work) {
      outcomes.push(work);
      continue;
    }
    if (!foldable.repeat) person = work.person;
    const row = eventRow(
      foldable.event,
      JSON.stringify(work.properties),
      work.elementsChain,
      personOnRow(work, foldable.repeat ? person : (work.shown ?? person), text),
    );
    outcomes.push({ kind: 'row', row, warnings: foldable.repeat ? [] : work.warnings });
  }
  const changed = person !== base;
  if (changed && person && base) person = { ...person, version: base.version + 1 };
  return { person, changed, outcomes };
}

type Failed = Extract<FoldOutcome, { kind: 'failed' }>;

function runStages(
  { event, project }: Foldable,
  personUuid: PersonUuid,
  person: Person | undefined,
): Work | Failed {
  let work: Work = {
    event,
    project,
    properties: event.properties,
    elementsChain: '',
    personUuid,
    person,
    mode: 'full',
    warnings: event.warnings,
  };
  for (const stage of STAGES) {
    try {
      work = stage.run(work);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { kind: 'failed', reason: 'stage_failed', stage: stage.name, message };
    }
  }
  return work;
}

function personOnRow(work: Work, person: Person | undefined, text: (person: Person) => string): PersonOnRow {
  return {
    uuid: work.personUuid,
    createdAtMs: person?.createdAtMs ?? NO_PERSON_CREATED_AT_MS,
    properties: work.mode === 'propertyless' || person === undefined ? '{}' : text(person),
    mode: work.mode,
  };
}

/** JSON text of the properties, made once for as long as they stay the same. */
function personText(): (person: Person) => string {
  let known: Person['properties'] | undefined;
  let json = '';
  return (person) => {
    if (person.properties !== known) {
      known = person.properties;
      json = JSON.stringify(known);
    }
    return json;
  };
}

/**
 * Whether folding this event could change the person, so that the fold has to be checked against Postgres and
 * remembered: even one that changes nothing now must not be folded again later.
 */
export function dependsOnPerson({ event, project, repeat }: Foldable): boolean {
  if (repeat || !wantsProfile(event, project)) return false;
  return hasChanges(propertyChanges(event.properties)) || clientProperties(event.properties) !== undefined;
}
