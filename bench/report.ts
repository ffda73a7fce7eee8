/** Results as a table for people, or as JSON lines for programs. */
import { jsonLines, type Paint, table } from '../src/cli/terminal.ts';
import type { Result } from './compare.ts';
import type { Machine } from './machine.ts';

export function asJson(results: readonly Result[], machine: Machine): string {
  return jsonLines(results.map((result) => ({ ...result, ...machine })));
}

export function asTable(results: readonly Result[], machine: Machine, paint: Paint): string {
  const rows = results.map(({ name, oursUs, floorUs, ratio, eventsPerRound, rounds, floor }) => ({
    benchmark: name,
    'ours µs/event': oursUs.median.toFixed(2).padStart(13),
    'floor µs/event': floorUs.median.toFixed(2).padStart(14),
    'ours ÷ floor': `${ratio.median.toFixed(2)} [${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}]`,
    'events × rounds': `${eventsPerRound} × ${rounds}`,
    floor,
  }));
  const asides = results.flatMap(({ name, others }) =>
    Object.entries(others).map(([other, us]) => `${name}: ${other} took ${us.toFixed(2)} µs/event beside it`),
  );
  const where = `commit ${machine.commit} · Node ${machine.node} · ${machine.cpu}`;
  const note = 'CPU time, not duration. Medians; of the ratios also [lowest–highest].';
  return [table(rows, paint), ...asides, paint('dim', note), paint('dim', where), ''].join('\n');
}
