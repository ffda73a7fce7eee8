/** One request with events, from its first byte to its answer. */
import type { Clock } from '../clock.ts';
import type { EventUuid } from '../event/ids.ts';
import { UNRESTRICTED } from '../event/restriction.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics.ts';
import type { TeamStore } from '../storage/team-store.ts';
import { type Appender, append } from './append.ts';
import { type ClientIp, forwardedFor } from './client-ip.ts';
import { type DecodeLimits, parseBody, unwrapBody } from './decode.ts';
import type { Dialect, StartDialect } from './dialect.ts';
import type { Door } from './door.ts';
import { tooManyWait } from './encodings/encoding.ts';
import { fieldBytes } from './encodings/text.ts';
import {
  type BatchLimits,
  judgeEvents,
  judgeInTurns,
  type PieceLimits,
  type Taken,
  takeEvents,
} from './events.ts';
import type { Exchange } from './exchange.ts';
import { InFlight, Share } from './in-flight.ts';
import { tooManyEvents } from './outline.ts';
import type { ParseLimits } from './parse.ts';
import { Queue } from './queue.ts';
import { type BodyLimits, overloaded, readBody } from './read-body.ts';
import { Refusal } from './refusal.ts';
import { teamOf } from './token.ts';
import type { HttpRequest } from './uws.ts';

export interface CaptureLimits extends BodyLimits, DecodeLimits, ParseLimits, BatchLimits, PieceLimits {
  readonly bytesInFlightMax: number;
  readonly largeWaitingMax: number;
  readonly tokenBytesMax: number;
}

export interface EventsRouteOptions {
  readonly log: Appender;
  readonly teams: TeamStore;
  readonly clock: Clock;
  readonly newUuid: () => EventUuid;
  readonly clientIp: ClientIp;
  readonly door: Door;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly limits: CaptureLimits;
}

/** What is read from a request while it can be: it is gone when the handler returns. */
interface Head {
  readonly ip: string;
  readonly declaredBytes: number | undefined;
  readonly contentEncoding: string;
  readonly query: URLSearchParams | undefined;
  /** Events in the query, as a pixel brings them: they count, whatever is in the body. */
  readonly queryData: string;
  readonly isGet: boolean;
}

export class EventsRoute {
  readonly #options: EventsRouteOptions;
  readonly #inFlight: InFlight;
  readonly #large = new Queue();
  #requests = 0;
  #isClosing = false;

  constructor(options: EventsRouteOptions) {
    this.#options = options;
    this.#inFlight = new InFlight(options.limits.bytesInFlightMax);
    options.metrics.measure(
      'tributary_capture_in_flight_bytes',
      'Bytes of bodies that are being read, decoded or appended',
      () => this.#inFlight.bytes,
    );
  }

  /** Requests that are not done: unanswered, or answered by nobody's wish and still being appended. */
  get requests(): number {
    return this.#requests;
  }

  /** From now on every request is refused; those in flight go on. */
  close(): void {
    this.#isClosing = true;
  }

  /** Never rejects. Call it in the handler itself. */
  async handle(exchange: Exchange, req: HttpRequest, start: StartDialect): Promise<void> {
    const { clock, door, logger } = this.#options;
    const startMs = clock.monotonic();
    const head = this.#head(exchange, req);
    const dialect = start(req);
    const share = new Share(this.#inFlight);
    this.#requests++;
    try {
      const taken = await this.#take(exchange, head, dialect, share);
      if (taken === 'gone') return;
      if (taken instanceof Refusal) {
        door.refuse(taken.reason);
        exchange.answer(dialect.refused(taken));
      } else {
        door.accept(taken.records.length);
        for (const [reason, events] of taken.discarded) door.discard(reason, events);
        for (const { reason } of taken.refused.values()) door.refuse(reason);
        exchange.answer(dialect.accepted(taken, head.query));
      }
      door.answered((clock.monotonic() - startMs) / 1_000);
    } catch (error) {
      logger.error({ error: error instanceof Error ? error.stack : String(error) }, 'a request failed');
      door.refuse('internal_error');
      exchange.answer(
        dialect.refused(new Refusal('internal_error', 'something is wrong here: send it again later')),
      );
    } finally {
      this.#requests--;
      share.set(0);
    }
  }

  #head(exchange: Exchange, req: HttpRequest): Head {
    const declared = req.getHeader('content-length');
    const queryText = req.getQuery();
    const query = queryText === '' ? undefined : new URLSearchParams(queryText);
    return {
      ip: this.#options.clientIp(exchange.peer(), () => forwardedFor(req)),
      declaredBytes: declared === '' ? undefined : Number(declared),
      contentEncoding: req.getHeader('content-encoding'),
      query,
      queryData: query?.get('data') ?? '',
      isGet: exchange.method === 'get',
    };
  }

  /** Resolves once every event of the request is durable. */
  async #take(
    exchange: Exchange,
    head: Head,
    dialect: Dialect,
    share: Share,
  ): Promise<Taken | Refusal | 'gone'> {
    const { log, clock, logger, limits } = this.#options;
    if (this.#isClosing) return new Refusal('overloaded', 'capture is stopping: send it again later', true);

    if (dialect.fault) return dialect.fault;

    const body = await this.#payload(exchange, head, share);
    if (body === 'gone' || body instanceof Refusal) return body;
    const now = clock.now();

    const encodings = [head.contentEncoding, head.query?.get('compression') ?? ''];
    const bytes = await this.#inTurn(body, () => unwrapBody(body, encodings, limits));
    if (bytes instanceof Refusal) return bytes;
    if (bytes !== body) {
      if (!this.#inFlight.fits(bytes.length, share.bytes)) return overloaded();
      share.set(share.bytes + bytes.length);
    }
    const taken = await this.#inTurn(bytes, () => this.#judge(bytes, encodings, head, dialect, now));
    if (taken instanceof Refusal) return taken;
    if (taken.records.length === 0) return taken;
    share.set(taken.bytes);
    return (await append(log, taken.records, logger)) ?? taken;
  }

  /** Small bodies are worked on at once, large ones after one another. */
  #inTurn<Result>(
    { length }: Buffer,
    work: () => Promise<Result | Refusal> | Result | Refusal,
  ): Promise<Result | Refusal> | Result | Refusal {
    const { workAtOnceBytesMax, largeWaitingMax } = this.#options.limits;
    if (length <= workAtOnceBytesMax) return work();
    return this.#large.run(largeWaitingMax, async () => work()) ?? tooManyWait('large');
  }

  async #judge(
    bytes: Buffer,
    encodings: readonly string[],
    head: Head,
    dialect: Dialect,
    now: number,
  ): Promise<Taken | Refusal> {
    const { teams, newUuid, limits } = this.#options;
    const decoded = await parseBody(bytes, encodings, limits);
    if (decoded instanceof Refusal) return decoded;
    const { json, text } = decoded;
    const batch = dialect.batchOf(json);
    if (batch instanceof Refusal) return batch;
    const { length } = batch.events;
    if (length === 0) return new Refusal('empty_batch', 'the batch holds no event');
    if (length > limits.eventsPerBatchMax) return tooManyEvents(length, limits.eventsPerBatchMax);
    const token = dialect.tokenOf(batch, limits.tokenBytesMax);
    if (token instanceof Refusal) return token;
    const team = await teamOf(token, teams);
    if (team instanceof Refusal) return team;

    const sentAtQuery = head.query?.get('_') ?? '';
    const { isAllOrNothing, isEngage = false } = dialect;
    const restrictions = team?.restrictions ?? UNRESTRICTED;
    const context = { token, restrictions, ip: head.ip, now, sentAtQuery, isEngage };
    if (text.length > limits.workAtOnceBytesMax) {
      return judgeInTurns(batch, text, context, newUuid, limits, isAllOrNothing);
    }
    const judge = isAllOrNothing ? takeEvents : judgeEvents;
    return judge(batch, text, context, newUuid, limits);
  }

  /** The bytes that hold the events: of the query, or of the body. */
  #payload(exchange: Exchange, head: Head, share: Share): Promise<Buffer | Refusal | 'gone'> {
    if (head.queryData !== '') return Promise.resolve(fieldBytes(head.queryData));
    if (head.isGet) {
      const text = 'the query has no "data": send the events in it, or POST them as JSON';
      return Promise.resolve(new Refusal('empty_body', text));
    }
    const { clock, door, limits } = this.#options;
    return readBody(exchange, head.declaredBytes, this.#inFlight, share, limits, clock, () => {
      door.cut('slow_body');
      exchange.cut();
    });
  }
}
