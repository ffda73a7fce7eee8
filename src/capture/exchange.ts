/** One request and its one answer. Hides what uWebSockets.js forbids: touching a response that is over. */
import { LIMITS } from '../limits.ts';
import type { HttpRequest, HttpResponse } from './uws.ts';

export interface Answer {
  /** As on the wire: `200 OK`. */
  readonly status: string;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** End the connection after this answer. */
  readonly closes?: boolean;
}

export class Exchange {
  readonly method: string;
  readonly #res: HttpResponse;
  readonly #origin: string;
  #isOver = false;
  #onGone: (() => void) | undefined;

  /** Make it first thing in every handler: without `onAborted` the process ends when the handler returns. */
  constructor(res: HttpResponse, req: HttpRequest) {
    res.onAborted(() => {
      this.#isOver = true;
      this.#onGone?.();
    });
    this.#res = res;
    this.#origin = req.getHeader('origin');
    this.method = req.getMethod();
  }

  /** Answered, or the client has gone. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The peer's address: 4 or 16 bytes. */
  peer(): Uint8Array {
    return new Uint8Array(this.#res.getRemoteAddress());
  }

  /**
   * Call it before the handler returns. `onChunk` must copy what it keeps: the bytes are gone when it returns.
   * `onGone`: the client has gone before the answer.
   */
  onBody(onChunk: (chunk: ArrayBuffer, isLast: boolean) => void, onGone: () => void): void {
    this.#onGone = onGone;
    this.#res.onData((chunk, isLast) => {
      if (!this.#isOver) onChunk(chunk, isLast);
    });
  }

  /** Ends the connection without an answer. */
  cut(): void {
    if (!this.#isOver) this.#res.close();
  }

  /** Does nothing when the client has gone. Every answer carries CORS, or a browser could not read it. */
  answer({ status, type, body, headers, closes }: Answer): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const res = this.#res;
    res.cork(() => {
      res.writeStatus(status);
      this.#writeCors();
      if (headers) for (const [name, value] of Object.entries(headers)) res.writeHeader(name, value);
      if (status.startsWith('204') || status.startsWith('304')) {
        res.endWithoutBody();
      } else {
        res.writeHeader('Content-Type', type);
        if (this.method === 'head') {
          // Told of a length, the library would wait for so many bytes, and end the connection at the next request.
          res.writeHeader('Content-Length', String(Buffer.byteLength(body)));
          res.endWithoutBody();
        } else if (closes || body.length <= LIMITS.capture.answerAtOnceBytesMax) res.end(body, closes);
        else this.#stream(typeof body === 'string' ? Buffer.from(body) : body);
      }
    });
  }

  /** No more of it than the client takes is copied: one that never reads costs nothing but its connection. */
  #stream(body: Uint8Array): void {
    const res = this.#res;
    const start = res.getWriteOffset();
    const write = (offset: number): boolean => res.tryEnd(body.subarray(offset - start), body.length)[0];
    res.onWritable(write);
    write(start);
  }

  #writeCors(): void {
    this.#res.writeHeader('Vary', 'Origin');
    if (this.#origin === '') return;
    this.#res
      .writeHeader('Access-Control-Allow-Origin', this.#origin)
      .writeHeader('Access-Control-Allow-Credentials', 'true')
      .writeHeader('Access-Control-Expose-Headers', 'Retry-After');
  }
}
