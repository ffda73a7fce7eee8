/** As many requests every second: one event each, or a batch of `BATCH`. */
import { BATCH, begin, eventUuid, iteration, loadOptions, PERSONS, post, type Run, TOKEN } from './lib.ts';

export { summarize as handleSummary } from './lib.ts';

export const options = loadOptions(0.2);

export const setup = (): Run => begin('steady');

export default function (run: Run): void {
  const now = new Date().toISOString();
  const events = Array.from({ length: BATCH }, (_, index) => steadyEvent(run, index, now));
  const body =
    BATCH === 1
      ? { api_key: TOKEN, ...events[0], sent_at: now }
      : { api_key: TOKEN, batch: events, sent_at: now };
  post({ run, step: 0, path: BATCH === 1 ? '/i/v0/e' : '/batch', events, body: JSON.stringify(body) });
}

/** About 1 KB, of somebody anonymous, whose events are not held. */
function steadyEvent(run: Run, index: number, timestamp: string) {
  const number = iteration() * BATCH + index;
  const distinct_id = `load-${run.id}-${number % PERSONS}`;
  return {
    uuid: eventUuid(run, 0, index),
    event: number % 4 === 0 ? '$pageview' : 'clicked',
    distinct_id,
    timestamp,
    properties: {
      $device_id: distinct_id,
      $lib: 'k6',
      $current_url: `https://example.com/products/${number % 100}`,
      $browser: 'Chrome',
      $os: 'Linux',
      number,
      ...(number % 10 === 0 ? { $set: { last: number } } : {}),
      text: TEXT,
    },
  };
}

const TEXT = 'what people do '.repeat(45);
