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
/** However it ends, no server and no folder is left behind. */
const giveUp = () => void parts.stop().then(() => process.exit(1));
process.on('SIGINT', giveUp);
process.on('SIGTERM', giveUp);
process.on('uncaughtException', (error) => {
  console.error(error);
  giveUp();
});

const contest = await benchmark.start(parts);
if (side === undefined) {
  const result = await compare(benchmark, contest);
  await parts.stop();
  if (process.send) process.send(result);
  else console.log(JSON.stringify(result));
} else {
  await repeat(benchmark, contest, side);
  await parts.stop();
}
if (process.connected) process.disconnect();
