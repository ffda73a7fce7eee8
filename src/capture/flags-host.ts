/** A PostHog host that is asked for feature flags on behalf of clients: for a bounded time, bytes and number. */
import { LIMITS } from '../limits.ts';

export interface FlagsQuestion {
  readonly method: 'GET' | 'POST';
  /** With its query: `/flags/?v=2`. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

export type FlagsLimits = { readonly [Key in keyof typeof LIMITS.flags]: number };

/** Why the host was of no help, in a few words. */
export class FlagsHostError extends Error {
  override readonly name = 'FlagsHostError';
}

export class FlagsHost {
  readonly #url: string;
  readonly #limits: FlagsLimits;
  readonly #closed = new AbortController();
  #asking = 0;

  /** `url`: may have a path, before which nothing is put. */
  constructor(url: string, limits: FlagsLimits = LIMITS.flags) {
    this.#url = url.replace(/\/+$/, '');
    this.#limits = limits;
  }

  /** The host's JSON, as text. Rejects with `FlagsHostError` for everything else. */
  async ask(question: FlagsQuestion): Promise<string> {
    const { timeoutMs, answerBytesMax, concurrencyMax } = this.#limits;
    if (this.#asking >= concurrencyMax) throw new FlagsHostError(`${concurrencyMax} questions are open`);
    this.#asking++;
    const ended = new AbortController();
    try {
      const response = await fetch(this.#url + question.target, {
        method: question.method,
        headers: question.headers,
        body: question.body ?? null,
        redirect: 'error',
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#closed.signal, ended.signal]),
      });
      const type = response.headers.get('content-type') ?? '';
      if (response.status !== 200) throw new FlagsHostError(`it answers ${response.status}`);
      if (!/\bjson\b/.test(type)) throw new FlagsHostError(`it answers with ${type || 'no content type'}`);
      return await readAtMost(response, answerBytesMax);
    } catch (error) {
      throw error instanceof FlagsHostError ? error : new FlagsHostError(causeOf(error));
    } finally {
      // What is left of an answer that was not wanted.
      ended.abort();
      this.#asking--;
    }
  }

  /** Ends the questions that are open. */
  close(): void {
    this.#closed.abort();
  }
}

async function readAtMost(response: Response, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw new FlagsHostError(`its answer has more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
