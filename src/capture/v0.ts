/** The old API, which most clients speak: an event, an array or a batch, and a word for an answer. */
import { ACCEPTED, ACCEPTED_BEACON, refused } from './answers.ts';
import type { Dialect } from './dialect.ts';
import type { Taken } from './events.ts';
import { shapeOf } from './shape.ts';
import { tokenOf } from './token.ts';

export const V0: Dialect = {
  isAllOrNothing: true,
  batchOf: shapeOf,
  tokenOf,
  accepted: (_: Taken, query) => (query?.get('beacon') === '1' ? ACCEPTED_BEACON : ACCEPTED),
  refused,
};

/** `/engage`: what has no name is an `$identify`. */
export const ENGAGE: Dialect = { ...V0, isEngage: true };
