/**
 * People who sign up: an anonymous pageview, an event that the backend sends with the new user's id, and the browser's
 * `$identify` a moment later. There must be one person each, and no other.
 */
import { sleep } from 'k6';
import { begin, eventUuid, iteration, loadOptions, post, type Run, TOKEN } from './lib.ts';

export { summarize as handleSummary } from './lib.ts';

/** Between the steps, at most. */
const PAUSE_SECONDS_MAX = 0.5;

export const options = loadOptions(2 * PAUSE_SECONDS_MAX + 0.3);

export const setup = (): Run => begin('signup');

/** Steps 0, 1 and 2. A step whose request was not taken ends the sign-up. */
export default function (run: Run): void {
  const anonymous = `load-${run.id}-anonymous-${iteration()}`;
  const user = `load-${run.id}-user-${iteration()}`;
  const steps = [
    { event: '$pageview', distinct_id: anonymous, properties: { $device_id: anonymous, $lib: 'web' } },
    { event: 'signed up', distinct_id: user, properties: { $lib: 'posthog-node', $set: { plan: 'free' } } },
    {
      event: '$identify',
      distinct_id: user,
      properties: { $device_id: anonymous, $anon_distinct_id: anonymous, $lib: 'web' },
    },
  ];
  for (const [step, content] of steps.entries()) {
    if (step > 0) sleep(Math.random() * PAUSE_SECONDS_MAX);
    const timestamp = new Date().toISOString();
    const event = { uuid: eventUuid(run, step, 0), ...content, timestamp };
    const body = JSON.stringify({ api_key: TOKEN, ...event, sent_at: timestamp });
    if (post({ run, step, path: '/i/v0/e', events: [event], body }) !== 200) return;
  }
}
