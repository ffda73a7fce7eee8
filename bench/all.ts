/** Every benchmark, in the order of an event's way. */
import type { Benchmark } from './benchmark.ts';
import { capture, captureBatches, capturePosthogJs } from './capture.ts';
import { captureKafka } from './capture-kafka.ts';
import { hold } from './hold.ts';
import { hotKey } from './hot-key.ts';
import { loader } from './loader.ts';
import { millionPersons } from './million-persons.ts';
import { worker } from './worker.ts';
import { workerKafka } from './worker-kafka.ts';
import { workerMerges } from './worker-merges.ts';
import { workers } from './workers.ts';

export const BENCHMARKS: readonly Benchmark[] = [
  capture,
  captureBatches,
  capturePosthogJs,
  captureKafka,
  worker,
  workerMerges,
  hotKey,
  millionPersons,
  workerKafka,
  workers,
  hold,
  loader,
];
