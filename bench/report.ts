/** Results as a table for people, or as JSON lines for programs. */
import { jsonLines, type Paint, table } from '../src/cli/terminal.ts';
import type { Result } from './compare.ts';
import type { Machine } from './machine.ts';

export function asJson(results: readonly Result[], machine: Machine): string {
  return jsonLines(results.map((result) => ({ ...result, ...machine })));
}

export function asTable(results: readonly Result[], machine: Machine, paint: Paint): string {
  const rows = results.map(({ name, unit, oursEach, floorEach, ratio, eventsPerRound, rounds, floor }) => ({
    benchmark: name,
    'ours/event': `${oursEach.median.toFixed(2)} ${unit}`.padStart(14),
    'floor/event': `${floorEach.median.toFixed(2)} ${unit}`.padStart(14),
    'ours ÷ floor': `${ratio.median.toFixed(2)} [${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}]`,
    'events × rounds': `${eventsPerRound} × ${rounds}`,
    floor,
  }));
  const asides = results.flatMap(({ name, asides: seen }) =>
    seen.map(({ what, value, unit }) => `${name}: ${what}: ${value.toFixed(2)} ${unit}`),
  );
  const where = `commit ${machine.commit} · Node ${machine.node} · ${machine.cpu}`;
  const note = 'µs are CPU time, not duration. Medians; of the ratios also [lowest–highest].';
  return [table(rows, paint), ...asides, paint('dim', note), paint('dim', where), ''].join('\n');
}
