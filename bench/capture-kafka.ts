/** The capture process with the log on Kafka, against the same with the embedded log. */
import type { Parts } from '../src/parts.ts';
import type { Benchmark, Contest } from './benchmark.ts';
import { beside } from './beside.ts';
import { startCaptureContest } from './capture-contest.ts';
import { kafkaMissing, startBroker } from './kafka.ts';
import { tempDir } from './stores.ts';

const REQUESTS = 10_000;

export const captureKafka: Benchmark = {
  name: 'capture-kafka',
  floor: 'capture with the embedded log',
  unit: 'µs',
  eventsPerRound: REQUESTS,
  rounds: 6,
  missing: kafkaMissing,
  start: startContest,
};

async function startContest(parts: Parts): Promise<Contest> {
  const dir = await tempDir(parts);
  const { hosts, pid } = await startBroker(parts);
  const { ours, floor } = await startCaptureContest(
    parts,
    { load: 'events', requests: REQUESTS },
    {
      ours: { server: 'capture', log: 'kafka', hosts },
      floor: { server: 'capture', log: 'embedded', dir },
    },
  );
  return { ours: () => beside({ Kafka: pid }, REQUESTS, ours), floor };
}
