/** How busy the whole machine is. */
import { cpus } from 'node:os';

export interface MachineCpu {
  readonly busy: number;
  readonly idle: number;
}

/** Microseconds since the machine started, of all cores together. */
export function machineCpuUs(): MachineCpu {
  const times = cpus().map((core) => core.times);
  const sum = (of: (time: (typeof times)[number]) => number) =>
    times.reduce((total, time) => total + of(time), 0) * 1000;
  return {
    busy: sum(({ user, nice, sys, irq }) => user + nice + sys + irq),
    idle: sum(({ idle }) => idle),
  };
}
