/** What other processes take while one is measured. */
import type { Cost } from './benchmark.ts';
import { treeCpuUs } from './process-tree.ts';

/**
 * The cost that `take` gives, and beside it the CPU time of each of these processes with their children, for each
 * event. `pids`: by name.
 */
export async function beside(
  pids: Readonly<Record<string, number>>,
  events: number,
  take: () => Promise<Cost>,
): Promise<Cost> {
  const before = Object.entries(pids).map(([name, pid]) => ({ name, pid, us: treeCpuUs(pid) }));
  const cost = await take();
  const asides = before.flatMap(({ name, pid, us }) => {
    const afterUs = treeCpuUs(pid);
    if (us === undefined || afterUs === undefined) return [];
    return [{ what: `CPU time of ${name}`, value: (afterUs - us) / events, unit: 'µs/event' }];
  });
  return { ...cost, asides: [...(cost.asides ?? []), ...asides] };
}
