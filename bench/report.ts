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
    'ours/event': `${oursEach.median.toFixed(2)} ${unit}`.padStart(18),
    'floor/event': `${floorEach.median.toFixed(2)} ${unit}`.padStart(18),
    'ours ÷ floor': `${ratio.median.toFixed(2)} [${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}]`,
    'events × rounds': `${eventsPerRound} × ${rounds}`,
    floor,
  }));
  const asides = results.flatMap(({ name, asides: seen }) =>
    seen.map(({ what, unit, ours, floor }) => ({
      benchmark: name,
      beside: what,
      ours: shown(ours),
      floor: shown(floor),
      unit,
    })),
  );
  const where = `commit ${machine.commit} · Node ${machine.node} · ${machine.cpu} · load average ${machine.load}`;
  const note = 'µs are CPU time, µs elapsed are duration. Medians; of the ratios also [lowest–highest].';
  const besides = asides.length > 0 ? [table(asides, paint)] : [];
  return [table(rows, paint), ...besides, paint('dim', note), paint('dim', where), ''].join('\n');
}

const shown = (value: number | undefined): string =>
  (value === undefined ? '' : value.toFixed(2)).padStart(10);
