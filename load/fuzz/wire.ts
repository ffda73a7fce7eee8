/** One client: sends an input to the socket, and hears what comes back. */
import { connect, type Socket } from 'node:net';
import { sleep, systemClock } from '../../src/clock.ts';
import { type Answer, AnswerReader } from './answer.ts';
import type { Input } from './input.ts';

export interface Heard {
  readonly answers: readonly Answer[];
  /** The server ended the connection; the client did, or it is still open; nothing came for too long. */
  readonly end: 'closed' | 'open' | 'late';
  /** What came and is no whole answer. */
  readonly fault: string | undefined;
}

/** For a machine that is busy with other things. */
const ANSWER_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 60_000;
/** How long to listen where there need not be an answer. */
const QUIET_MS = 100;
/** The server ends a connection that is idle for 10 s. */
const IDLE_MS_MAX = 3_000;
/** Between two writes of one input: enough for them to arrive one by one. */
const GAP_MS = 1;

export class WireClient {
  readonly #port: number;
  #kept: Socket | undefined;
  #keptSince = 0;

  constructor(port: number) {
    this.#port = port;
  }

  /** On the connection of the input before it, where both allow that. Rejects when the server cannot be reached. */
  async send(input: Input): Promise<Heard> {
    const kept = this.#kept;
    this.#kept = undefined;
    const isIdle = systemClock.monotonic() - this.#keptSince > IDLE_MS_MAX;
    if (kept?.readable && !isIdle && input.mustAnswer) return this.#exchange(kept, input);
    drop(kept);
    return this.#exchange(await this.#connect(), input);
  }

  close(): void {
    drop(this.#kept);
  }

  #connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#port, '127.0.0.1');
      socket.setNoDelay(true);
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error('no connection in time')));
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.setTimeout(0);
        socket.off('error', reject);
        // Whoever is left by the server sees `close`.
        socket.on('error', () => {});
        resolve(socket);
      });
    });
  }

  async #exchange(socket: Socket, input: Input): Promise<Heard> {
    const reader = new AnswerReader(input.requests.map(({ isHead }) => isHead));
    const wanted = input.mustAnswer ? input.requests.length : Number.POSITIVE_INFINITY;
    const heard = this.#listen(socket, reader, wanted);
    for (const [index, part] of input.parts.entries()) {
      if (index > 0) await sleep(systemClock, GAP_MS);
      if (!socket.destroyed) socket.write(part);
    }
    if (input.ending === 'finish') socket.end();
    if (input.ending === 'leave') heard.giveUp('open');
    else heard.waitFor(input.mustAnswer ? ANSWER_TIMEOUT_MS : QUIET_MS, input.mustAnswer ? 'late' : 'open');
    const end = await heard.done;
    const { answers } = reader;
    const isClosing = answers.some(({ headers }) => headers.get('connection') === 'close');
    if (end === 'open' && input.mustAnswer && !isClosing) this.#keep(socket);
    else drop(socket);
    // What was cut off by the client itself is nobody's fault.
    const fault = end === 'open' && !input.mustAnswer ? undefined : reader.fault;
    return { answers, end, fault };
  }

  #keep(socket: Socket): void {
    this.#kept = socket;
    this.#keptSince = systemClock.monotonic();
  }

  #listen(
    socket: Socket,
    reader: AnswerReader,
    wanted: number,
  ): {
    readonly done: Promise<Heard['end']>;
    giveUp(end: Heard['end']): void;
    /** Ends once nothing has come for so long. */
    waitFor(quietMs: number, end: Heard['end']): void;
  } {
    let finish: (end: Heard['end']) => void = () => {};
    let cancel = (): void => {};
    let restart = (): void => {};
    const onData = (chunk: Buffer): void => {
      reader.add(chunk);
      if (reader.answers.length >= wanted) finish('open');
      else restart();
    };
    const onClose = (): void => {
      reader.end();
      finish('closed');
    };
    let isDone = false;
    const done = new Promise<Heard['end']>((resolve) => {
      finish = (end) => {
        isDone = true;
        cancel();
        socket.off('data', onData);
        socket.off('end', onClose);
        socket.off('close', onClose);
        resolve(end);
      };
    });
    socket.on('data', onData);
    socket.on('end', onClose);
    socket.on('close', onClose);
    return {
      done,
      giveUp: (end) => finish(end),
      waitFor(quietMs, end) {
        restart = () => {
          cancel();
          if (!isDone) cancel = systemClock.after(quietMs, () => finish(end));
        };
        restart();
      },
    };
  }
}

/** A reset leaves no port in TIME_WAIT; what is ending already cannot be reset. */
function drop(socket: Socket | undefined): void {
  if (socket?.writableEnded) socket.destroy();
  else socket?.resetAndDestroy();
}
