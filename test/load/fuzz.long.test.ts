import t from 'tap';
import { fuzzFor } from './fuzz-for.ts';

t.setTimeout(900_000);

t.test('a minute of hostile input: the process lives, and every event is accounted for', (t) =>
  fuzzFor(t, 60),
);
