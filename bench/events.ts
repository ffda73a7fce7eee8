/** Events of about 1 KB, as a web SDK sends them. */

import { takeEvents } from '../src/capture/events.ts';
import { Refusal } from '../src/capture/refusal.ts';
import { shapeOf } from '../src/capture/shape.ts';
import { asToken } from '../src/event/ids.ts';
import type { Json, JsonObject } from '../src/event/json.ts';
import { UNRESTRICTED } from '../src/event/restriction.ts';
import { newEventUuid } from '../src/ids.ts';
import { LIMITS } from '../src/limits.ts';
import type { AppendRecord } from '../src/storage/event-log.ts';

export const TOKEN = asToken('phc_bench');

export interface About {
  readonly distinctId: string;
  /** Else a `$pageview`. */
  readonly event?: string;
  /** Beside those that every event has. */
  readonly properties?: JsonObject;
}

/** 1 KB of JSON text. */
export function clientEvent({ distinctId, event = '$pageview', properties }: About): string {
  return JSON.stringify({
    api_key: TOKEN,
    uuid: newEventUuid(),
    event,
    distinct_id: distinctId,
    timestamp: new Date().toISOString(),
    properties: {
      $os: 'Mac OS X',
      $os_version: '10.15.7',
      $browser: 'Chrome',
      $browser_version: 126,
      $device_type: 'Desktop',
      $current_url: 'https://app.example.com/projects/42/insights?tab=trends&interval=day',
      $host: 'app.example.com',
      $pathname: '/projects/42/insights',
      $raw_user_agent:
        'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/126.0 Safari',
      $screen_height: 1080,
      $screen_width: 1920,
      $viewport_height: 948,
      $viewport_width: 1745,
      $lib: 'web',
      $lib_version: '1.146.0',
      $session_id: '019051f2-7b5e-7a31-9a5d-2f7cf5f0d3a1',
      $window_id: '019051f2-7b5e-7a31-9a5d-2f7d0d9a8c11',
      $referrer: 'https://www.example.org/search?q=product+analytics',
      title: 'Insights • Trends • Weekly active users',
      plan: 'enterprise',
      items: [1, 2, 3, 5, 8, 13, 21],
      ...properties,
    },
  });
}

const REQUEST = {
  token: TOKEN,
  ip: '203.0.113.9',
  sentAtQuery: '',
  isEngage: false,
  restrictions: UNRESTRICTED,
};

/** The record that capture makes of the event. */
export function capturedRecord(text: string): AppendRecord {
  const json: Json = JSON.parse(text);
  const batch = shapeOf(json);
  if (batch instanceof Refusal) throw new Error(batch.text);
  const context = { ...REQUEST, now: Date.now() };
  const taken = takeEvents(batch, text, context, newEventUuid, LIMITS.capture);
  const [record] = taken instanceof Refusal ? [] : taken.records;
  if (record === undefined) throw new Error('capture did not take the event');
  return record;
}
