/** A run of the fuzzer as a test, of any length. */
import { randomInt } from 'node:crypto';
import type { Test } from 'tap';
import { ACCEPTED_PERCENT_MIN, fuzz, GROWTH_MIB_MAX } from '../../load/fuzz/run.ts';
import { DISCARD_REASONS, REFUSAL_REASONS } from '../../src/event/outcome.ts';

export async function fuzzFor(t: Test, seconds: number): Promise<void> {
  const seed = randomInt(2 ** 31);
  const result = await fuzz({ seconds, seed, onProgress: (line) => t.comment(line) });
  const { inputs, accepted, books, reasons, answers } = result;
  t.comment(JSON.stringify({ inputs, accepted, answers, books, grownMib: result.grownMib }));
  t.same(result.problems, [], `again with: npm run fuzz -- --minutes ${seconds / 60} --seed ${seed}`);
  t.ok(result.acceptedPercent >= ACCEPTED_PERCENT_MIN, `${accepted} of ${inputs} inputs were accepted`);
  const hit = new Set(reasons.filter(({ count }) => count > 0).map(({ reason }) => reason));
  const wanted = REFUSAL_REASONS.filter((reason) => reason !== 'internal_error');
  for (const reason of [...wanted, ...DISCARD_REASONS, 'refused_by_log']) t.ok(hit.has(reason), reason);
  t.notOk(hit.has('internal_error'), 'no request failed');
  t.match(books, { imbalance: 0, waiting: 0, in_flight: 0, held: 0 });
  t.ok(books.acknowledged >= accepted, `${books.acknowledged} events are in the books`);
  t.ok(result.grownMib <= GROWTH_MIB_MAX, `it grew by ${result.grownMib} MiB`);
}
