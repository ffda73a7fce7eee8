/**
 * One benchmark in this process: `one.ts NAME` compares, `one.ts NAME ours` and `one.ts NAME floor` run one side
 * alone, for a profiler.
 */
import { silentLogger } from '../src/logger.ts';
import { Parts } from '../src/parts.ts';
import { BENCHMARKS } from './all.ts';
import { compare, repeat } from './compare.ts';

const [name, side] = process.argv.slice(2);
const benchmark = BENCHMARKS.find((one) => one.name === name);
if (benchmark === undefined || (side !== undefined && side !== 'ours' && side !== 'floor')) {
  throw new Error(`one.ts ${BENCHMARKS.map((one) => one.name).join('|')} [ours|floor]`);
}

const parts = new Parts(silentLogger);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => void parts.stop().then(() => process.exit(1)));
}
try {
  const contest = await benchmark.start(parts);
  if (side === undefined) {
    const result = await compare(benchmark, contest);
    if (process.send) process.send(result);
    else process.stdout.write(`${JSON.stringify(result)}\n`);
  } else {
    await repeat(benchmark, contest, side);
  }
} finally {
  await parts.stop();
  if (process.connected) process.disconnect();
}
