/** Every benchmark, in the order of an event's way. */
import type { Benchmark } from './benchmark.ts';
import { capture } from './capture.ts';
import { loader } from './loader.ts';
import { worker } from './worker.ts';

export const BENCHMARKS: readonly Benchmark[] = [capture, worker, loader];
