/** One input of the fuzzer: bytes for a socket, and what is known of them. */

/** What an event of a request says, as far as that matters afterwards. */
export interface SentEvent {
  /** As the client wrote it; `undefined` where it wrote none that could be looked for. */
  readonly uuid: string | undefined;
  /** Of a kind that is taken and kept nowhere. */
  readonly isDiscarded: boolean;
  /** Of a kind that the worker may drop. */
  readonly mayDrop: boolean;
}

export interface SentRequest {
  /** The answer to HEAD has no body. */
  readonly isHead: boolean;
  /** Each event is answered for itself. */
  readonly isV1: boolean;
  /** In their order; `undefined`: it was spoilt on the way, so nobody knows what it says. */
  readonly events: readonly SentEvent[] | undefined;
}

/** What the client does after the last byte: waits for its answers, ends its side and waits, or leaves at once. */
export type Ending = 'wait' | 'finish' | 'leave';

export interface Input {
  readonly seed: number;
  readonly number: number;
  /** What it is, for people: the recorded body, and everything that was done to it. */
  readonly what: string;
  /** Each is a write of its own. */
  readonly parts: readonly Buffer[];
  /** That are in `parts`, in their order. */
  readonly requests: readonly SentRequest[];
  /** Well-formed HTTP that the client has sent to its end: each request has to be answered. */
  readonly mustAnswer: boolean;
  readonly ending: Ending;
}

export function inputToText(input: Input): string {
  const parts = input.parts.map((part) => part.toString('base64'));
  return `${JSON.stringify({ ...input, parts }, null, 2)}\n`;
}

/** Rejects what `inputToText` did not write with an error that says so. */
export function inputFromText(text: string): Input {
  const read: Omit<Input, 'parts'> & { readonly parts: readonly string[] } = JSON.parse(text);
  if (!Array.isArray(read.parts) || !Array.isArray(read.requests)) {
    throw new Error('this is no input of the fuzzer: give a file that it has written');
  }
  return { ...read, parts: read.parts.map((part) => Buffer.from(part, 'base64')) };
}
