/** A site that has posthog-js on its pages, and hears from each page which events the SDK has made there. */
import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { ROOT } from '../system/harness.ts';

/** As the SDK names it in `eventCaptured`. */
export interface Made {
  readonly uuid: string;
  readonly event: string;
  readonly distinctId: string;
}

export interface Page {
  /** How the SDK gets there: as npm has it, or by the snippet, from the host that the events go to. */
  readonly by: 'bundle' | 'snippet';
  readonly host: string;
  readonly token: string;
  /** Options of `posthog.init`. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Site {
  readonly url: string;
  /** Gives the path of the page. */
  add(page: Page): string;
  /** What has been made on a page so far. */
  madeOn(path: string): readonly Made[];
}

const BUNDLE = join(ROOT, 'node_modules', 'posthog-js', 'dist', 'module.full.js');

export async function startSite(t: Test): Promise<Site> {
  const pages = new Map<string, Page>();
  const made = new Map<string, Made[]>();
  const server = createServer((request, response) => {
    void answer(request, response, pages, made);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    add(page) {
      const path = `/page-${pages.size + 1}`;
      pages.set(path, page);
      made.set(path, []);
      return path;
    },
    madeOn: (path) => made.get(path) ?? [],
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: ReadonlyMap<string, Page>,
  made: ReadonlyMap<string, Made[]>,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://site');
  const page = pages.get(pathname);
  if (page) {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(html(page, pathname));
  } else if (pathname === '/posthog.js') {
    response.setHeader('Content-Type', 'text/javascript');
    createReadStream(BUNDLE).pipe(response);
  } else if (pathname === '/made') {
    made.get(searchParams.get('page') ?? '')?.push(JSON.parse(await text(request)));
    response.end();
  } else {
    // The browser asks for an icon.
    response.writeHead(204).end();
  }
}

/** A beacon gets there even when the page is being closed. */
const TELL = `
  posthog.on('eventCaptured', ({ uuid, event, properties }) => navigator.sendBeacon(
    '/made?page=' + location.pathname, JSON.stringify({ uuid, event, distinctId: properties.distinct_id })));`;

/** What PostHog's snippet does: calls are kept in a list until the script has come, which takes them from there. */
const SNIPPET = `
  (function (document, posthog) {
    window.posthog = posthog;
    posthog._i = [];
    posthog.people = [];
    posthog.__SV = 1;
    posthog.capture = (...args) => posthog.push(['capture', ...args]);
    posthog.init = (token, options) => {
      const script = document.createElement('script');
      script.crossOrigin = 'anonymous';
      script.async = true;
      script.src = options.api_host + '/static/array.js';
      document.head.append(script);
      posthog._i.push([token, options, 'posthog']);
    };
  })(document, []);`;

function html({ by, host, token, options }: Page, path: string): string {
  const init = JSON.stringify({ api_host: host, ...options });
  const withLoaded = `Object.assign(${init}, { loaded(posthog) { ${TELL} window.posthog = posthog; } })`;
  const script =
    by === 'bundle'
      ? `<script type="module">
          import posthog from '/posthog.js';
          posthog.init('${token}', ${withLoaded});
        </script>`
      : `<script>${SNIPPET} posthog.init('${token}', ${withLoaded});</script>`;
  return `<!doctype html><html><head><title>${path}</title>${script}</head>
    <body><h1>${path}</h1><button id="buy" class="primary">Buy</button><a href="#more">More</a></body></html>`;
}
