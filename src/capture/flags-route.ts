/** `/flags` and `/decide`: the empty set. */
import type { Exchange } from './exchange.ts';
import { noFlags } from './flags-answers.ts';
import type { HttpRequest } from './uws.ts';

export interface FlagsRouteOptions {
  readonly host: string;
}

export class FlagsRoute {
  constructor(_: FlagsRouteOptions) {}

  handle(exchange: Exchange, req: HttpRequest, kind: 'flags' | 'decide'): void {
    exchange.answer(noFlags({ kind, version: req.getQuery('v') ?? '', hasErrors: false }));
  }
}
