/**
 * A person at rest: one text instead of some forty objects, all of which V8 would mark each time it collects the heap,
 * and stop the event loop meanwhile.
 */
import type { Person } from '../person/person.ts';

export interface Resting {
  readonly version: number;
  readonly text: string;
}

export const restingOf = (person: Person): Resting => ({
  version: person.version,
  text: JSON.stringify(person),
});

export function resume({ text }: Resting): Person {
  const person: Person = JSON.parse(text);
  return person;
}

/** About what it takes in memory: V8 gives every character two bytes as soon as one is beyond Latin-1. */
export const restingBytes = ({ text }: Resting): number =>
  (BEYOND_LATIN_1.test(text) ? 2 : 1) * text.length + OVERHEAD_BYTES;

const BEYOND_LATIN_1 = /[^\0-\xff]/;
/** The entry of the cache, and its key; measured on Node 20. */
const OVERHEAD_BYTES = 400;
