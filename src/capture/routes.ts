/** What can be asked for, as a table. The documentation and `openapi.json` are made from it. */
import { EVENT_ROUTES, type EventKind, isEventKind } from './event-routes.ts';
import { QUESTION_ROUTES, type QuestionKind } from './question-routes.ts';

export type RouteKind = EventKind | 'recordings' | QuestionKind | 'about';

export interface Route<Kind extends string = RouteKind> {
  /** `:token` stands for one segment, `*` for all the rest. Without `*` it is answered with a slash at its end, too. */
  readonly path: string;
  readonly kind: Kind;
  /** Besides OPTIONS. */
  readonly methods: readonly ('GET' | 'POST')[];
  /** What it is for, for the documentation: a phrase without a full stop. */
  readonly says: string;
  /** Who uses it, likewise. */
  readonly clients: string;
}

const ABOUT_ROUTE: Route = {
  path: '/',
  kind: 'about',
  methods: ['GET'],
  says: 'What this is, and what is here',
  clients: 'people',
};

export const ROUTES: readonly Route[] = [...EVENT_ROUTES, ...QUESTION_ROUTES, ABOUT_ROUTE];

/** As the server is told them. */
export function pathsOf({ path }: Route): readonly string[] {
  return path === '/' || path.endsWith('*') ? [path] : [path, `${path}/`];
}

/** `GET, POST, OPTIONS`. */
export const allowed = (route: Route): string => [...route.methods, 'OPTIONS'].join(', ');

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
