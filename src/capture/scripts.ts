import { text } from './answers.ts';
import type { Answer } from './exchange.ts';
import type { HttpRequest } from './uws.ts';

export class Scripts {
  static async load(): Promise<Scripts> {
    return new Scripts();
  }

  answer(_: HttpRequest): Answer {
    return text('404 Not Found', 'not yet');
  }
}
