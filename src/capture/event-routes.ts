/** Where events come in. */
import type { Route } from './routes.ts';

export type EventsKind = 'events' | 'engage';

export const EVENT_ROUTES: readonly Route<EventsKind>[] = [
  {
    path: '/batch',
    kind: 'events',
    methods: ['POST'],
    says: 'Events in batches',
    clients: 'posthog-node, posthog-python and the other server SDKs',
  },
  {
    path: '/e',
    kind: 'events',
    methods: ['POST'],
    says: 'Events, until the configuration names another path',
    clients: 'posthog-js',
  },
  {
    path: '/i/v0/e',
    kind: 'events',
    methods: ['POST'],
    says: 'Events; the path to use by hand',
    clients: 'posthog-js, mobile SDKs, curl',
  },
  {
    path: '/capture',
    kind: 'events',
    methods: ['POST'],
    says: 'Events',
    clients: 'older SDKs and scripts',
  },
  {
    path: '/track',
    kind: 'events',
    methods: ['POST'],
    says: 'Events',
    clients: 'older SDKs and scripts',
  },
  {
    path: '/engage',
    kind: 'engage',
    methods: ['POST'],
    says: 'Person properties: what has no name is an `$identify`',
    clients: 'older SDKs',
  },
];
