/** Capture, from the socket to the log's door, against a route that parses JSON. */
import type { Benchmark } from './benchmark.ts';
import { startCaptureContest, type Traffic } from './capture-contest.ts';
import { EVENTS_PER_BATCH } from './capture-loads.ts';

function captureOf(name: string, traffic: Traffic, eventsPerRequest: number, floor: string): Benchmark {
  return {
    name,
    floor,
    unit: 'µs',
    eventsPerRound: traffic.requests * eventsPerRequest,
    rounds: 7,
    start: (parts) =>
      startCaptureContest(parts, traffic, {
        ours: { server: 'capture', log: 'none' },
        floor: { server: 'route' },
      }),
  };
}

const PLAIN = 'uWebSockets.js route: read the body, JSON.parse, 200';
const GZIP = 'uWebSockets.js route: read the body, gunzip, JSON.parse, 200';

export const capture = captureOf('capture', { load: 'events', requests: 30_000 }, 1, PLAIN);

export const captureBatches = captureOf(
  'capture/batches',
  { load: 'batches', requests: 2_000 },
  EVENTS_PER_BATCH,
  GZIP,
);

export const capturePosthogJs = captureOf(
  'capture/posthog-js',
  { load: 'posthog-js', requests: 15_000 },
  1,
  GZIP,
);
