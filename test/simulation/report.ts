/** A failed history, record by record, for people. */
import { sourceOf } from './follow.ts';
import { IDS_MAX } from './plan.ts';
import type { Ran } from './run.ts';
import type { Verdict } from './verdict.ts';

export function report(ran: Ran, { failures, followed, outputs }: Verdict, withTrace = false): string {
  const { plan, records, world } = ran;
  const places = new Map([...followed.folded.keys()].map((source, place) => [source, place + 1]));
  const header = [
    'record',
    'at ms',
    'event',
    'distinct id',
    'fold',
    'done to ids',
    'person on its rows',
    'properties',
  ];
  const lines = records.map((record) => {
    const source = sourceOf(record);
    const { event } = record;
    const persons = outputs.rows.filter((row) => row.source === source).map(({ person_id }) => person_id);
    const deadLetters = outputs.deadLetters
      .filter((letter) => letter.source === source)
      .map(({ error }) => error);
    const flags = [event.historical ? 'historical' : '', event.fault === 'none' ? '' : event.fault];
    return [
      source,
      String(event.atMs),
      [event.name, ...flags].filter(Boolean).join(' '),
      event.distinctId,
      String(places.get(source) ?? '-'),
      [followed.folded.get(source)?.meeting ?? '', ...deadLetters].filter(Boolean).join(', '),
      counted(persons),
      JSON.stringify(event.properties),
    ];
  });
  const persons = [...world.store.persons.values()].map(
    ({ uuid, version, isIdentified, properties }) =>
      `${uuid} v${version}${isIdentified ? ' identified' : ''} ${JSON.stringify(properties)}`,
  );
  return [
    `seed ${plan.seed}, ${records.length} records, ${plan.partitions} partitions, hold ${plan.process.holdMs} ms,` +
      `${plan.small ? ' small limits,' : ''}${plan.mergeIdsMax < IDS_MAX ? ` merges of ${plan.mergeIdsMax} ids,` : ''} weather ${JSON.stringify(plan.weather)}, tail ${JSON.stringify(plan.tail)}, starts ${plan.startsMs}`,
    ...plan.incidents.map((incident) => `  ${JSON.stringify(incident)}`),
    ...failures.map((failure) => `  ! ${failure}`),
    ...table([header, ...lines]),
    ...persons,
    ...(withTrace ? traceOf(ran) : []),
    `replay: npm run simulate -- --from ${plan.seed} --seeds 1${plan.processesMax === 1 ? ' --processes 1' : ''}`,
  ].join('\n');
}

/** What the processes said, and what was saved, in order of time. */
function traceOf({ world }: Ran): string[] {
  const start = world.clock.now() - world.clock.monotonic();
  const saves = world.store.witness.map(({ atMs, offsets }) => ({
    atMs: atMs - start,
    line: `folded ${offsets.map(sourceOf).join(' ')}`,
  }));
  return [...world.trace, ...saves]
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ atMs, line }) => `${String(atMs).padStart(6)} ms  ${line}`);
}

/** Equal neighbours once: `a × 2, b`. */
function counted(texts: readonly string[]): string {
  const runs: { text: string; count: number }[] = [];
  for (const text of texts) {
    const last = runs.at(-1);
    if (last?.text === text) last.count += 1;
    else runs.push({ text, count: 1 });
  }
  return runs.map(({ text, count }) => (count === 1 ? text : `${text} × ${count}`)).join(', ');
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  '),
  );
}
