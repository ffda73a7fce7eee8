/** How one family of clients writes its requests, and how it is answered. What is in between is the same for all. */
import type { Token } from '../event/ids.ts';
import type { Json } from '../event/json.ts';
import type { Taken } from './events.ts';
import type { Answer } from './exchange.ts';
import type { Refusal } from './refusal.ts';
import type { Batch } from './shape.ts';
import type { HttpRequest } from './uws.ts';

/** Of one request, if it has anything of its own to remember. */
export interface Dialect {
  /** What is plain from the headers, before the body is read. */
  readonly fault?: Refusal | undefined;
  /** One bad event refuses the whole request; otherwise only itself. */
  readonly isAllOrNothing: boolean;
  /** Events may lack a name. */
  readonly isEngage?: boolean;
  batchOf(body: Json): Batch | Refusal;
  tokenOf(batch: Batch, bytesMax: number): Token | Refusal;
  /** Every event that was not refused is durable. `query`: of the request, if it has one. */
  accepted(taken: Taken, query: URLSearchParams | undefined): Answer;
  refused(refusal: Refusal): Answer;
}

/** Called while the request's headers can be read. */
export type StartDialect = (req: HttpRequest) => Dialect;
