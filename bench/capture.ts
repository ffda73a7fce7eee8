/** Capture, from the socket to the log's door, against a route that parses JSON. */
import type { Benchmark } from './benchmark.ts';
import { startCaptureContest } from './capture-contest.ts';

const REQUESTS = 30_000;

export const capture: Benchmark = {
  name: 'capture',
  floor: 'uWebSockets.js route: read the body, JSON.parse, 200',
  unit: 'µs',
  eventsPerRound: REQUESTS,
  rounds: 7,
  start: (parts) =>
    startCaptureContest(parts, REQUESTS, {
      ours: { server: 'capture', log: 'none' },
      floor: { server: 'route' },
    }),
};
