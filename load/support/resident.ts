/** The most memory that processes have ever had resident. Linux only; elsewhere 0. */
import { readFile } from 'node:fs/promises';
import type { System } from './system.ts';

/** In MiB, by name. */
export async function residentMaxMib(
  systems: Readonly<Record<string, System | undefined>>,
): Promise<Readonly<Record<string, number>>> {
  const found: Record<string, number> = {};
  for (const [name, system] of Object.entries(systems)) {
    const status = await readFile(`/proc/${system?.pid}/status`, 'utf8').catch(() => '');
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
    found[name] = Math.round(Number(kib ?? 0) / 1024);
  }
  return found;
}
