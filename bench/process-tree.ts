/** CPU time of another process and its children, where the system tells (Linux). */
import { readdirSync, readFileSync } from 'node:fs';

/** `sysconf(_SC_CLK_TCK)` on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Microseconds, those of children that have ended included; `undefined` where there is no /proc. */
export function treeCpuUs(pid: number): number | undefined {
  try {
    const tree = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => readStat(Number(name)))
      .filter((stat) => stat !== undefined)
      .filter((stat) => stat.pid === pid || stat.parent === pid);
    return (tree.reduce((sum, { ticks }) => sum + ticks, 0) * 1_000_000) / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}

function readStat(pid: number): { pid: number; parent: number; ticks: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything; what follows it are numbers: proc(5).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const own = Number(fields[11]) + Number(fields[12]);
    const endedChildren = Number(fields[13]) + Number(fields[14]);
    return { pid, parent: Number(fields[1]), ticks: own + endedChildren };
  } catch {
    // It has ended in the meantime.
    return undefined;
  }
}
