/** Folds events into their persons, one after another. Pure, so that a save can do it again on the rows it locked. */
import type { EventWarning, PipelineEvent } from '../event/event.ts';
import type { DerivePersonUuid, PersonUuid } from '../event/ids.ts';
import type { DeadLetterReason } from '../event/outcome.ts';
import { eventRow, type PersonOnRow } from '../event/rows.ts';
import { clientProperties } from './client-properties.ts';
import { Draft } from './draft.ts';
import type { GroupChange, ResolvedGroups } from './group.ts';
import type { Known, MergedAway, NewId } from './known.ts';
import { mergeRequest } from './merge.ts';
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

/** An event with what the dispatcher decided about it. */
export interface FoldInput {
  readonly entry: Foldable;
  /** Whom it belongs to, or who is made for it. */
  readonly personUuid: PersonUuid;
  readonly groups: ResolvedGroups;
}

export interface FoldOptions {
  readonly derivePersonUuid: DerivePersonUuid;
  /** Persons with more ids than one merge may move. */
  readonly overfull: ReadonlySet<PersonUuid>;
}

export interface Folded {
  /** After all events, with the versions that a save gives. */
  readonly known: Known;
  /** Persons that were made or changed and are still there. */
  readonly written: readonly Person[];
  readonly newIds: readonly NewId[];
  /** In the order of the merges. */
  readonly merged: readonly MergedAway[];
  /** In the order of their events. */
  readonly groupChanges: readonly GroupChange[];
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
      readonly reason: Extract<DeadLetterReason, 'stage_failed' | 'merge_too_large' | 'refused_by_postgres'>;
      readonly stage: string;
      readonly message: string;
    };

export function foldEvents(known: Known, inputs: readonly FoldInput[], options: FoldOptions): Folded {
  const draft = new Draft(known);
  const outcomes: FoldOutcome[] = [];
  const groupChanges: GroupChange[] = [];
  const text = personText();
  for (const input of inputs) {
    const { entry, groups } = input;
    const work = runStages(draft, input, options);
    if ('kind' in work) {
      outcomes.push(work);
      continue;
    }
    if (!entry.repeat) {
      draft.take(work);
      if (groups.change) groupChanges.push(groups.change);
    }
    const row = eventRow(
      entry.event,
      JSON.stringify(work.properties),
      work.elementsChain,
      personOnRow(work, work.shown ?? work.person, text),
      work.groups.shown,
    );
    outcomes.push({ kind: 'row', row, warnings: entry.repeat ? [] : work.warnings });
  }
  return { ...draft.finish(options.derivePersonUuid), groupChanges, outcomes };
}

type Failed = Extract<FoldOutcome, { kind: 'failed' }>;

function runStages(
  draft: Draft,
  { entry, personUuid, groups }: FoldInput,
  options: FoldOptions,
): Work | Failed {
  const { event, project, repeat } = entry;
  const person = draft.personOf(event.distinctId);
  let work: Work = {
    event,
    project,
    repeat,
    known: draft,
    overfull: options.overfull,
    properties: event.properties,
    elementsChain: '',
    personUuid: person?.uuid ?? draft.survivor(personUuid),
    person,
    attached: [],
    mergedAway: undefined,
    mode: 'full',
    groups,
    warnings: event.warnings,
  };
  for (const stage of STAGES) {
    try {
      work = stage.run(work);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { kind: 'failed', reason: 'stage_failed', stage: stage.name, message };
    }
    if (work.refused) return { kind: 'failed', stage: stage.name, ...work.refused };
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
 * Whether folding this event could change a person or a group, so that the fold has to be checked against Postgres and
 * remembered: even one that changes nothing now must not be folded again later.
 */
export function dependsOnPerson({ entry, groups }: FoldInput): boolean {
  const { event, project, repeat } = entry;
  if (repeat) return false;
  if (groups.change) return true;
  if (!wantsProfile(event, project)) return false;
  return (
    mergeRequest(event) !== undefined ||
    hasChanges(propertyChanges(event.properties)) ||
    clientProperties(event, event.properties) !== undefined
  );
}
