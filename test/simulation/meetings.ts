/** How often the interesting things happened. */
import type { Metrics } from '../../src/metrics.ts';
import { releases } from './check-hold.ts';
import type { Ran } from './run.ts';
import type { Verdict } from './verdict.ts';

export type Counts = Map<string, number>;

export function count(counts: Counts, ran: Ran, { followed, outputs }: Verdict): void {
  const add = (name: string, by: number) => counts.set(name, (counts.get(name) ?? 0) + by);
  add('histories', 1);
  add('records', ran.records.length);
  for (const { meeting } of followed.folded.values()) add(`met: ${meeting}`, 1);
  const { byPerson, byTime } = releases(ran, followed);
  add('held, released by a person', byPerson);
  add('held, released by time or memory', byTime);
  add('restarts', ran.restarts);
  add('rows', outputs.rows.length);
  add('rows sent again', outputs.rows.length - new Set(outputs.rows.map(({ source }) => source)).size);
  add(
    'duplicates dropped',
    ran.world.store.progress().reduce((sum, { fates }) => sum + (fates['drop:duplicate'] ?? 0), 0),
  );
  add('merges too large', outputs.deadLetters.filter(({ error }) => error === 'merge_too_large').length);
  add('persons', ran.world.store.persons.size);
  add('groups', ran.world.store.groups.size);
}

/** What the worker itself counts: names of counters with their totals. */
export async function workerCounts(metrics: Metrics): Promise<Counts> {
  const counts: Counts = new Map();
  for (const line of (await metrics.text()).split('\n')) {
    const [name = '', value = ''] = line.split(/ (?=\S+$)/);
    if (/^tributary_worker_/.test(name)) counts.set(name, Number(value));
  }
  return counts;
}
