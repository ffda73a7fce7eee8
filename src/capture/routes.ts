/** What can be asked for, as a table. Each path is answered with and without a slash at its end. */

import { SEGMENT_PATHS } from './segment-table.ts';

/** Those that bring events. */
export const EVENT_KINDS = ['events', 'engage', 'events_v1', 'segment'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export type RouteKind = EventKind | 'recordings' | 'flags' | 'config' | 'config_script' | 'about';

export interface Route {
  /** `:token` stands for one segment. */
  readonly path: string;
  readonly kind: RouteKind;
  /** Besides OPTIONS. */
  readonly methods: readonly ('GET' | 'POST')[];
}

export const ROUTES: readonly Route[] = [
  { path: '/batch', kind: 'events', methods: ['GET', 'POST'] },
  { path: '/e', kind: 'events', methods: ['GET', 'POST'] },
  { path: '/capture', kind: 'events', methods: ['GET', 'POST'] },
  { path: '/track', kind: 'events', methods: ['GET', 'POST'] },
  { path: '/i/v0/e', kind: 'events', methods: ['GET', 'POST'] },
  { path: '/i/v0/ai/batch', kind: 'events', methods: ['GET', 'POST'] },
  { path: '/engage', kind: 'engage', methods: ['GET', 'POST'] },
  { path: '/i/v1/analytics/events', kind: 'events_v1', methods: ['POST'] },
  { path: '/s', kind: 'recordings', methods: ['GET', 'POST'] },
  ...Object.keys(SEGMENT_PATHS).map((path): Route => ({ path, kind: 'segment', methods: ['POST'] })),
  { path: '/flags', kind: 'flags', methods: ['GET', 'POST'] },
  { path: '/array/:token/config', kind: 'config', methods: ['GET'] },
  { path: '/array/:token/config.js', kind: 'config_script', methods: ['GET'] },
  { path: '/', kind: 'about', methods: ['GET'] },
];

/** `GET, POST, OPTIONS`. */
export const allowed = (route: Route): string => [...route.methods, 'OPTIONS'].join(', ');

export const isEventKind = (kind: RouteKind): kind is EventKind =>
  EVENT_KINDS.some((eventKind) => eventKind === kind);

/** HEAD is a GET without the body, and must not bring anything. */
export function allows(route: Route, method: string): boolean {
  const name = method === 'head' && !isEventKind(route.kind) ? 'GET' : method.toUpperCase();
  return route.methods.some((allowedMethod) => allowedMethod === name);
}

const LIST = ROUTES.map((route) => `  ${allowed(route).padEnd(20)}${route.path}`).join('\n');

export const ABOUT = `Tributary capture. Point a PostHog SDK at this address, or post an event as JSON to /i/v0/e:
  {"api_key": "YOUR_TOKEN", "event": "hello", "distinct_id": "me"}

What is here:
${LIST}`;

export const notFound = (path: string): string => `there is nothing at ${path}. What is here:\n${LIST}`;
