/**
 * Visits of a page, in the wire form of posthog-js 1.449: config, a `$pageview` alone, one visitor in ten logs in, a
 * batch of clicks, and `$pageleave` as a beacon.
 */
import { sleep } from 'k6';
import encoding from 'k6/encoding';
import http from 'k6/http';
import { gzipStored } from './gzip.ts';
import { begin, eventUuid, HOST, iteration, loadOptions, PERSONS, post, type Run, TOKEN } from './lib.ts';

export { summarize as handleSummary } from './lib.ts';

const PAUSE_SECONDS = 0.3;
const CLICKS = 5;
const LOGIN_EVERY = 10;
const ORIGIN = 'https://shop.example.com';
const HEADERS = {
  origin: ORIGIN,
  referer: `${ORIGIN}/`,
  'user-agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
};

export const options = loadOptions(2 * PAUSE_SECONDS + 0.5);

export const setup = (): Run => begin('browser');

/** Steps: 0 `$pageview`, 1 `$identify`, 2 clicks, 3 `$pageleave`. */
export default function (run: Run): void {
  const visitor = iteration() % PERSONS;
  const anonymous = `load-${run.id}-anonymous-${visitor}`;
  const logsIn = visitor % LOGIN_EVERY === 0;
  const user = logsIn ? `load-${run.id}-user-${visitor}` : anonymous;
  http.get(`${HOST}/array/${TOKEN}/config.js`, { headers: HEADERS });

  const pageview = event(run, { step: 0, name: '$pageview', distinctId: anonymous, anonymous });
  packed(run, 0, [pageview]);
  if (logsIn) {
    const identify = event(run, { step: 1, name: '$identify', distinctId: user, anonymous });
    packed(run, 1, [
      {
        ...identify,
        $set: { plan: 'pro' },
        $set_once: { $initial_referrer: '$direct', $initial_utm_source: null },
      },
    ]);
    const asked = { token: TOKEN, distinct_id: user, $anon_distinct_id: anonymous, $device_id: anonymous };
    http.post(`${HOST}/flags/?v=2`, gzipStored(JSON.stringify(asked)), {
      headers: { ...HEADERS, 'content-type': 'text/plain' },
    });
  }
  sleep(PAUSE_SECONDS);
  const clicks = Array.from({ length: CLICKS }, (_, index) =>
    event(run, {
      step: 2,
      index,
      name: index === 0 ? 'added to cart' : '$autocapture',
      distinctId: user,
      anonymous,
    }),
  );
  packed(run, 2, clicks);
  sleep(PAUSE_SECONDS);
  const leave = event(run, { step: 3, name: '$pageleave', distinctId: user, anonymous });
  const body = encoding.b64encode(JSON.stringify(envelope([leave])));
  post({
    run,
    step: 3,
    path: '/e/?compression=base64',
    events: [leave],
    body: `data=${encodeURIComponent(body)}`,
    headers: { ...HEADERS, 'content-type': 'application/x-www-form-urlencoded' },
  });
}

interface Event extends Readonly<Record<string, unknown>> {
  readonly uuid: string;
}

const envelope = (batch: readonly Event[]) => ({ api_key: TOKEN, batch, sent_at: new Date().toISOString() });

/** Gzip without a header that says so: the server has to look. */
function packed(run: Run, step: number, events: readonly Event[]): void {
  const body = gzipStored(JSON.stringify(envelope(events)));
  post({ run, step, path: '/e/', events, body, headers: { ...HEADERS, 'content-type': 'text/plain' } });
}

interface Content {
  readonly step: number;
  readonly index?: number;
  readonly name: string;
  readonly distinctId: string;
  readonly anonymous: string;
}

/** About 1.5 KB. The distinct id and the token are in the properties. */
function event(run: Run, { step, index = 0, name, distinctId, anonymous }: Content) {
  const isIdentified = distinctId !== anonymous;
  const page = `/products/${iteration() % 100}`;
  const now = new Date();
  return {
    uuid: eventUuid(run, step, index),
    event: name,
    properties: {
      ...BROWSER,
      $current_url: `${ORIGIN}${page}`,
      $pathname: page,
      $time: now.getTime() / 1_000,
      distinct_id: distinctId,
      $device_id: anonymous,
      ...(isIdentified ? { $user_id: distinctId } : {}),
      ...(name === '$identify' ? { $anon_distinct_id: anonymous } : {}),
      ...(name === '$autocapture' ? CLICK : {}),
      token: TOKEN,
      $session_id: `${run.id}-${anonymous}`,
      $is_identified: isIdentified,
      $process_person_profile: isIdentified,
    },
    timestamp: now.toISOString(),
  };
}

const BROWSER = {
  $os: 'Linux',
  $browser: 'Chrome',
  $device_type: 'Desktop',
  $timezone: 'Europe/Berlin',
  $timezone_offset: -60,
  $host: 'shop.example.com',
  $raw_user_agent: HEADERS['user-agent'],
  $browser_version: 156,
  $browser_language: 'en-US',
  $browser_language_prefix: 'en',
  $screen_height: 1080,
  $screen_width: 1920,
  $viewport_height: 720,
  $viewport_width: 1280,
  $lib: 'web',
  $lib_version: '1.449.2',
  $sdk_dist_channel: 'cdn',
  $configured_session_timeout_ms: 1_800_000,
  $referrer: '$direct',
  $referring_domain: '$direct',
  $session_entry_referrer: '$direct',
  $session_entry_referring_domain: '$direct',
  $session_entry_host: 'shop.example.com',
  $session_entry_pathname: '/',
  $recording_status: 'disabled',
  $config_defaults: 'unset',
  $lib_rate_limit_remaining_tokens: 99,
};

const CLICK = {
  $event_type: 'click',
  $ce_version: 1,
  $elements_chain:
    'button.primary:attr__class="primary"nth-child="1"nth-of-type="1"text="Buy";div:nth-child="2"nth-of-type="1"',
};
