/** HTTP answers, read from the bytes of a connection. */

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

const HEAD_END = '\r\n\r\n';
/** A status line as servers write it. */
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [\w -]*$/;

/** Reads answers one after the other. */
export class AnswerReader {
  readonly answers: Answer[] = [];
  readonly #isHead: readonly boolean[];
  #bytes: Buffer = Buffer.alloc(0);
  #fault: string | undefined;

  /** `isHead`: of each request, in their order: the answer to HEAD has no body. */
  constructor(isHead: readonly boolean[]) {
    this.#isHead = isHead;
  }

  /** What is no HTTP, or no whole answer. */
  get fault(): string | undefined {
    if (this.#fault !== undefined) return this.#fault;
    if (this.#bytes.length === 0) return undefined;
    return `an answer that is not whole: ${JSON.stringify(this.#bytes.toString('latin1').slice(0, 200))}`;
  }

  add(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#fault === undefined && this.#take(false));
  }

  /** The server has ended its side: so ends an answer without a length. */
  end(): void {
    while (this.#fault === undefined && this.#take(true));
  }

  #take(isEnd: boolean): boolean {
    const headLength = this.#bytes.indexOf(HEAD_END);
    if (headLength < 0) return false;
    const [first = '', ...lines] = this.#bytes.toString('latin1', 0, headLength).split('\r\n');
    const status = Number(STATUS_LINE.exec(first)?.[1] ?? 0);
    if (status === 0) {
      this.#fault = `a first line that is no HTTP: ${JSON.stringify(first.slice(0, 200))}`;
      return false;
    }
    const headers = new Map(lines.map(readHeader));
    const bodyAt = headLength + HEAD_END.length;
    const length = this.#bodyLength(
      status,
      headers.get('content-length'),
      this.#bytes.length - bodyAt,
      isEnd,
    );
    if (length === undefined || this.#bytes.length < bodyAt + length) return false;
    const body = this.#bytes.toString('utf8', bodyAt, bodyAt + length);
    this.#bytes = this.#bytes.subarray(bodyAt + length);
    // 100 Continue is no answer yet.
    if (status >= 200) this.answers.push({ status, headers, body });
    return true;
  }

  /** `undefined`: not to be known before the connection ends. */
  #bodyLength(
    status: number,
    declared: string | undefined,
    there: number,
    isEnd: boolean,
  ): number | undefined {
    if (status < 200 || status === 204 || status === 304) return 0;
    // Without a length it is the HTTP server itself that speaks: it has not understood that it was a HEAD.
    if (declared !== undefined) return this.#isHead[this.answers.length] ? 0 : Number(declared);
    return isEnd ? there : undefined;
  }
}

function readHeader(line: string): readonly [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}
