/**
 * The stages that an event passes at its person, in order: this list is the table of contents. A stage is pure: it
 * takes the work as the stage before left it and gives the work as it leaves it.
 */
import { clientStage } from './stages/client.ts';
import { elementsStage } from './stages/elements.ts';
import { groupsStage } from './stages/groups.ts';
import { identityStage } from './stages/identity.ts';
import { ipStage } from './stages/ip.ts';
import { personStage } from './stages/person.ts';
import { profileStage } from './stages/profile.ts';
import type { Stage } from './work.ts';

export const STAGES: readonly Stage[] = [
  // Does this event want a person profile?
  profileStage,
  // Browser, system, page and campaign become person properties.
  clientStage,
  // Whose is it? `$identify` and its kin join two ids, and merge their persons.
  identityStage,
  // Makes the person where there is none, and folds `$set`, `$set_once` and `$unset` into it.
  personStage,
  // `$groups` become `$group_0` to `$group_4`.
  groupsStage,
  // The client's address, unless the project does not want it.
  ipStage,
  // `$elements` becomes the elements chain.
  elementsStage,
];
