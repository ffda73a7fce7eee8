/** Events of about 1 KB, as a browser's SDK sends them. */
import { randomUUID } from 'node:crypto';
import type { LoadEvent } from './client.ts';
import type { Random } from './random.ts';

const NAMES = ['$pageview', '$autocapture', 'viewed product', 'added to cart', 'signed up'];
const PLANS = ['free', 'pro', 'team', 'enterprise'];
const BROWSERS = ['Chrome', 'Firefox', 'Safari', 'Edge'];

export const distinctIdOf = (person: number): string => `rush-person-${person}`;

/** One in four sets a property of its person, one in eight sets one once. */
export function rushEvent(random: Random, person: number, index: number): LoadEvent {
  const pick = (from: readonly string[]): string => from[random.integer(from.length)] ?? '';
  return {
    uuid: randomUUID(),
    event: pick(NAMES),
    distinct_id: distinctIdOf(person),
    timestamp: new Date().toISOString(),
    properties: {
      $browser: pick(BROWSERS),
      $browser_version: 100 + random.integer(40),
      $current_url: `https://shop.example.com/category/${random.integer(200)}/product/${random.integer(9_000)}`,
      $device_type: 'Desktop',
      $host: 'shop.example.com',
      $insert_id: randomUUID(),
      $lib: 'web',
      $lib_version: '1.297.2',
      $os: 'Linux',
      $pathname: `/category/${random.integer(200)}`,
      $referrer: 'https://www.example.org/search?q=shoes',
      $referring_domain: 'www.example.org',
      $screen_height: 1080,
      $screen_width: 1920,
      $session_id: randomUUID(),
      $window_id: randomUUID(),
      $viewport_height: 937,
      $viewport_width: 1853,
      amount: random.integer(100_000) / 100,
      index,
      ...(index % 4 === 0 ? { $set: { plan: pick(PLANS), visits: index } } : {}),
      ...(index % 8 === 1 ? { $set_once: { initial_plan: pick(PLANS), first_index: index } } : {}),
      note: 'x'.repeat(180 + random.integer(80)),
    },
  };
}
