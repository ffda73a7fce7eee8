/** One client as an SDK has it: a connection that stays open, and one request on it at a time. */
import { Agent, request } from 'node:http';
import { DEV_PROJECT } from '../../src/storage/postgres/projects.ts';

export interface LoadEvent {
  readonly uuid: string;
  readonly event: string;
  readonly distinct_id: string;
  readonly timestamp: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** The header `Retry-After`. */
  readonly retryAfter: string | undefined;
}

const TIMEOUT_MS = 15_000;

export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #url: string;

  constructor(captureUrl: string) {
    this.#url = captureUrl;
  }

  /** One event goes to `/i/v0/e`, several go to `/batch`. Rejects when there is no answer: the outcome is unknown. */
  post(events: readonly LoadEvent[]): Promise<Answer> {
    const [first] = events;
    if (first !== undefined && events.length === 1) {
      return this.#post('/i/v0/e', { api_key: DEV_PROJECT.token, ...first });
    }
    const sent_at = new Date().toISOString();
    return this.#post('/batch', { api_key: DEV_PROJECT.token, batch: events, sent_at });
  }

  close(): void {
    this.#agent.destroy();
  }

  #post(path: string, content: object): Promise<Answer> {
    const body = Buffer.from(JSON.stringify(content));
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    return new Promise((resolve, reject) => {
      const asked = request(
        `${this.#url}${path}`,
        { method: 'POST', agent: this.#agent, headers, timeout: TIMEOUT_MS },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            resolve({ status: response.statusCode ?? 0, text, retryAfter: response.headers['retry-after'] });
          });
        },
      );
      asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
      asked.on('error', reject);
      asked.end(body);
    });
  }
}
