/** What can be asked for, as a table. Each path is answered with and without a slash at its end. */

export type RouteKind = 'events' | 'engage' | 'flags' | 'config' | 'config_script' | 'about';

export interface Route {
  /** `:token` stands for one segment. */
  readonly path: string;
  readonly kind: RouteKind;
  /** Besides OPTIONS. */
  readonly methods: readonly ('GET' | 'POST')[];
}

export const ROUTES: readonly Route[] = [
  { path: '/batch', kind: 'events', methods: ['POST'] },
  { path: '/e', kind: 'events', methods: ['POST'] },
  { path: '/capture', kind: 'events', methods: ['POST'] },
  { path: '/track', kind: 'events', methods: ['POST'] },
  { path: '/i/v0/e', kind: 'events', methods: ['POST'] },
  { path: '/engage', kind: 'engage', methods: ['POST'] },
  { path: '/flags', kind: 'flags', methods: ['GET', 'POST'] },
  { path: '/array/:token/config', kind: 'config', methods: ['GET'] },
  { path: '/array/:token/config.js', kind: 'config_script', methods: ['GET'] },
  { path: '/', kind: 'about', methods: ['GET'] },
];

/** `GET, POST, OPTIONS`. */
export const allowed = (route: Route): string => [...route.methods, 'OPTIONS'].join(', ');

/** HEAD is a GET without the body. */
export function allows(route: Route, method: string): boolean {
  const name = method === 'head' ? 'GET' : method.toUpperCase();
  return route.methods.some((allowedMethod) => allowedMethod === name);
}

const LIST = ROUTES.map((route) => `  ${allowed(route).padEnd(20)}${route.path}`).join('\n');

export const ABOUT = `Tributary capture. Point a PostHog SDK at this address, or post an event as JSON to /i/v0/e:
  {"api_key": "YOUR_TOKEN", "event": "hello", "distinct_id": "me"}

What is here:
${LIST}`;

export const notFound = (path: string): string => `there is nothing at ${path}. What is here:\n${LIST}`;
