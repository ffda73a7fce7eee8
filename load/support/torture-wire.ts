/** What a client of Postgres sends, message by message: as much of the protocol as it takes to follow a transaction. */

export interface WireMessage {
  readonly bytes: Buffer;
  /** The statement of a simple query or of a parse; else empty. */
  readonly statement: string;
}

const SSL_REQUEST = 80_877_103;
const HEADER_BYTES = 5;

export class WireReader {
  #rest: Buffer = Buffer.alloc(0);
  /** The first message has no type. */
  #isStarted = false;

  /** The messages that are complete with this chunk. */
  read(chunk: Buffer): WireMessage[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: WireMessage[] = [];
    for (let message = this.#next(); message !== undefined; message = this.#next()) messages.push(message);
    return messages;
  }

  #next(): WireMessage | undefined {
    const typeBytes = this.#isStarted ? 1 : 0;
    if (this.#rest.length < typeBytes + 4) return undefined;
    const length = typeBytes + this.#rest.readInt32BE(typeBytes);
    if (this.#rest.length < length) return undefined;
    const bytes = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    if (this.#isStarted) return { bytes, statement: statementOf(bytes) };
    this.#isStarted = bytes.readInt32BE(4) !== SSL_REQUEST;
    return { bytes, statement: '' };
  }
}

function statementOf(bytes: Buffer): string {
  const type = String.fromCharCode(bytes[0] ?? 0);
  if (type === 'Q') return textAt(bytes, HEADER_BYTES);
  // A parse begins with the name of the prepared statement.
  if (type === 'P') return textAt(bytes, bytes.indexOf(0, HEADER_BYTES) + 1);
  return '';
}

function textAt(bytes: Buffer, start: number): string {
  return bytes.toString('utf8', start, bytes.indexOf(0, start)).trim();
}
