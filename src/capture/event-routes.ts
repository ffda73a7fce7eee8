/** Where events come in. */
import type { Route } from './routes.ts';
import { SEGMENT_PATHS } from './segment-table.ts';

/** Those that bring events. */
export const EVENT_KINDS = ['events', 'engage', 'events_v1', 'segment'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

const OLD = 'older SDKs and scripts';

export const EVENT_ROUTES: readonly Route<EventKind | 'recordings'>[] = [
  v0('/batch', 'Events in batches', 'posthog-node, posthog-python and the other server SDKs'),
  v0('/e', 'Events, until the configuration names another path', 'posthog-js'),
  v0('/i/v0/e', 'Events; the path to use by hand', 'posthog-js, mobile SDKs, curl'),
  v0('/i/v0/ai/batch', 'Events about language models, as `/batch`', 'posthog-node, posthog-python'),
  v0('/capture', 'Events', OLD),
  v0('/track', 'Events', OLD),
  {
    path: '/engage',
    kind: 'engage',
    methods: ['GET', 'POST'],
    says: 'Person properties: what has no name is an `$identify`',
    clients: OLD,
  },
  {
    path: '/i/v1/analytics/events',
    kind: 'events_v1',
    methods: ['POST'],
    says: 'Events, with an answer for each of them (Capture V1)',
    clients: 'posthog-node and posthog-python with `POSTHOG_CAPTURE_MODE=v1`',
  },
  ...Object.entries(SEGMENT_PATHS).map(
    ([path, type]): Route<EventKind> => ({
      path,
      kind: 'segment',
      methods: ['POST'],
      says: type === 'batch' ? "Segment's messages in batches" : `Segment's \`${type}\``,
      clients: "Segment's SDKs",
    }),
  ),
  {
    path: '/s',
    kind: 'recordings',
    methods: ['GET', 'POST'],
    says: 'Session recordings: taken, counted and thrown away',
    clients: 'posthog-js',
  },
];

function v0(path: string, says: string, clients: string): Route<EventKind> {
  return { path, kind: 'events', methods: ['GET', 'POST'], says, clients };
}

export const isEventKind = (kind: string): kind is EventKind =>
  EVENT_KINDS.some((eventKind) => eventKind === kind);
