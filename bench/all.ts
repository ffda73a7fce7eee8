/** Every benchmark, in the order of an event's way. */
import type { Benchmark } from './benchmark.ts';
import { capture } from './capture.ts';
import { hold } from './hold.ts';
import { loader } from './loader.ts';
import { worker } from './worker.ts';
import { workerMerges } from './worker-merges.ts';

export const BENCHMARKS: readonly Benchmark[] = [capture, worker, workerMerges, hold, loader];
