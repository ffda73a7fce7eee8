/** A person at rest: one text, whose version can be read without the rest of it. */
import type { Person } from '../person/person.ts';

export const restingOf = (person: Person): string => `${person.version} ${JSON.stringify(person)}`;

export const versionOf = (resting: string): number => Number.parseInt(resting, 10);

export function resume(resting: string): Person {
  const person: Person = JSON.parse(resting.slice(resting.indexOf(' ')));
  return person;
}
