/** `/flags` and `/decide`: the empty set, or what a PostHog host says. */
import type { Clock } from '../clock.ts';
import { LIMITS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics.ts';
import { json, refused } from './answers.ts';
import { type ClientIp, forwardedFor } from './client-ip.ts';
import type { Door } from './door.ts';
import type { Exchange } from './exchange.ts';
import { noFlags } from './flags-answers.ts';
import type { FlagsHost } from './flags-host.ts';
import { InFlight, Share } from './in-flight.ts';
import { type BodyLimits, readBody } from './read-body.ts';
import { Refusal } from './refusal.ts';
import type { HttpRequest } from './uws.ts';

export interface FlagsRouteOptions {
  /** `undefined`: nobody is asked, there are no flags. */
  readonly host: FlagsHost | undefined;
  readonly clientIp: ClientIp;
  readonly clock: Clock;
  readonly door: Door;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** What the host is told of a client's headers. */
const PASSED_HEADERS = ['content-type', 'content-encoding', 'user-agent', 'accept-language'] as const;

const BODY_LIMITS: BodyLimits = { ...LIMITS.capture, bodyBytesMax: LIMITS.flags.bodyBytesMax };

export class FlagsRoute {
  readonly #options: FlagsRouteOptions;
  readonly #inFlight = new InFlight(LIMITS.flags.bytesInFlightMax);
  readonly #total;
  #hasFailed = false;
  #requests = 0;

  constructor(options: FlagsRouteOptions) {
    this.#options = options;
    this.#total = options.metrics.counter(
      'tributary_capture_flags_total',
      'Questions for feature flags, by who answered: nobody (no FLAGS_PROXY_URL), the host, or nobody because it failed',
      ['by'],
    );
  }

  /** Requests that wait for the host. */
  get requests(): number {
    return this.#requests;
  }

  /** Those that wait for the host are answered now. */
  close(): void {
    this.#options.host?.close();
  }

  /** Call it in the handler itself. */
  handle(exchange: Exchange, req: HttpRequest, kind: 'flags' | 'decide'): void {
    const asked = { kind, version: req.getQuery('v') ?? '' };
    const { host } = this.#options;
    if (host !== undefined) {
      void this.#ask(host, exchange, req, asked);
      return;
    }
    this.#total.inc({ by: 'nobody' });
    exchange.answer(noFlags({ ...asked, hasErrors: false }));
  }

  /** Never rejects. */
  async #ask(
    host: FlagsHost,
    exchange: Exchange,
    req: HttpRequest,
    asked: { readonly kind: 'flags' | 'decide'; readonly version: string },
  ): Promise<void> {
    const isPost = exchange.method === 'post';
    const headers = this.#headers(exchange, req);
    const { clock, door } = this.#options;
    const target = `${req.getUrl()}?${req.getQuery()}`;
    const length = req.getHeader('content-length');
    const share = new Share(this.#inFlight);
    this.#requests++;
    try {
      const body = isPost
        ? await readBody(
            exchange,
            length === '' ? undefined : Number(length),
            this.#inFlight,
            share,
            BODY_LIMITS,
            clock,
            () => {
              door.cut('slow_body');
              exchange.cut();
            },
          )
        : undefined;
      if (body === 'gone') return;
      if (body instanceof Refusal && body.reason !== 'overloaded') return exchange.answer(refused(body));
      if (body instanceof Refusal) throw body;
      const answer = await host.ask({ method: isPost ? 'POST' : 'GET', target, headers, body });
      this.#total.inc({ by: 'host' });
      this.#say(undefined);
      exchange.answer(json(answer));
    } catch (error) {
      this.#say(error instanceof Error ? error.message : 'too many questions are open');
      this.#total.inc({ by: 'nobody_after_failure' });
      exchange.answer(noFlags({ ...asked, hasErrors: true }));
    } finally {
      this.#requests--;
      share.set(0);
    }
  }

  /** A line when the host begins to fail, and one when it helps again. */
  #say(cause: string | undefined): void {
    const hasFailed = cause !== undefined;
    if (hasFailed === this.#hasFailed) return;
    this.#hasFailed = hasFailed;
    const { logger } = this.#options;
    if (hasFailed) logger.warn({ cause }, 'FLAGS_PROXY_URL: the host does not answer, clients get no flags');
    else logger.info({}, 'FLAGS_PROXY_URL: the host answers again');
  }

  #headers(exchange: Exchange, req: HttpRequest): Record<string, string> {
    const headers: Record<string, string> = {
      'x-forwarded-for': this.#options.clientIp(exchange.peer(), () => forwardedFor(req)),
    };
    for (const name of PASSED_HEADERS) {
      const value = req.getHeader(name);
      if (value !== '') headers[name] = value;
    }
    return headers;
  }
}
