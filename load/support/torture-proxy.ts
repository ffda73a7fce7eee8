/**
 * A proxy between the process and Postgres. It can hold a save up at a point of its way, so that a kill meets it there;
 * and when the process has died, it keeps the dead one's connections open until they have been looked at.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../../src/clock.ts';
import { WireReader } from './torture-wire.ts';

type Transaction = 'save' | 'progress';

/**
 * Where a save can be caught: when it sends this statement (`merging`: only if it has merged persons by then). Any
 * transaction: when Postgres has answered its COMMIT, and when that answer has been passed on, which is not held up.
 */
export type SavePoint =
  | { readonly kind: 'sends'; readonly statement: string; readonly merging: boolean }
  | { readonly kind: 'answered' | 'passed_on'; readonly of: Transaction };

interface Snare {
  readonly point: SavePoint;
  readonly onCaught: () => void;
}

/** How long a caught save waits for its end before it goes on. */
const HOLD_MS = 1_000;
const SAVES = 'INSERT INTO tributary_folded';
const SAVES_PROGRESS = 'UPDATE tributary_partition';
const MERGES = 'INSERT INTO tributary_merged';

export class PostgresProxy {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #snare: Snare | undefined;

  private constructor(hostname: string, port: number) {
    this.#server = createServer((client) => {
      const upstream = connect(port, hostname);
      const connection = new Connection(client, upstream, (point) => this.#spring(point));
      this.#connections.add(connection);
      upstream.once('close', () => this.#connections.delete(connection));
    });
  }

  static async open(target: URL): Promise<PostgresProxy> {
    const proxy = new PostgresProxy(target.hostname, Number(target.port));
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return address.port;
  }

  /** From which its connections come, as Postgres sees them. */
  get ports(): readonly number[] {
    return [...this.#connections].map(({ port }) => port);
  }

  /** Resolves when a save is at this point. Only one can be waited for at a time. */
  caught(point: SavePoint): Promise<void> {
    return new Promise((resolve) => {
      this.#snare = { point, onCaught: resolve };
    });
  }

  /** Nothing is waited for any more. */
  forget(): void {
    this.#snare = undefined;
  }

  /** Ends what a dead process has left open; what it had not committed is rolled back. */
  async release(): Promise<void> {
    this.forget();
    const orphans = [...this.#connections].filter(({ isOrphaned }) => isOrphaned);
    await Promise.all(orphans.map((orphan) => orphan.end()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#connections].map((connection) => connection.end()));
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Whether somebody waits for a save that does what `is` says. */
  #spring(is: (point: SavePoint) => boolean): boolean {
    const snare = this.#snare;
    if (snare === undefined || !is(snare.point)) return false;
    this.#snare = undefined;
    snare.onCaught();
    return true;
  }
}

type Spring = (is: (point: SavePoint) => boolean) => boolean;

class Connection {
  /** The process is gone, and what it left open still there. */
  isOrphaned = false;
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #spring: Spring;
  readonly #reader = new WireReader();
  /** What is open. */
  #transaction: Transaction | undefined;
  #isMerging = false;
  #isCommitting = false;
  /** What waits here on its way to Postgres, or from it. */
  #held: { readonly to: Socket; readonly chunks: Buffer[] } | undefined;

  constructor(client: Socket, upstream: Socket, spring: Spring) {
    this.#client = client;
    this.#upstream = upstream;
    this.#spring = spring;
    for (const socket of [client, upstream]) socket.setNoDelay(true).on('error', () => {});
    client.on('data', (chunk: Buffer) => {
      for (const { bytes, statement } of this.#reader.read(chunk)) {
        this.#follow(statement);
        this.#pass(bytes, this.#upstream);
      }
    });
    upstream.on('data', (chunk: Buffer) => this.#answer(chunk));
    client.on('close', () => {
      this.isOrphaned = true;
      // What had not left the process's machine never will.
      this.#held = undefined;
    });
    upstream.on('close', () => client.end());
  }

  get port(): number {
    return this.#upstream.localPort ?? 0;
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#upstream.once('close', resolve));
    this.#held = undefined;
    this.#upstream.destroy();
    await ended;
  }

  #follow(statement: string): void {
    if (statement === '') return;
    if (statement === 'BEGIN') {
      this.#transaction = undefined;
      this.#isMerging = false;
    }
    if (statement.startsWith(SAVES)) this.#transaction = 'save';
    if (statement.startsWith(SAVES_PROGRESS)) this.#transaction = 'progress';
    if (statement.startsWith(MERGES)) this.#isMerging = true;
    const isCaught = this.#spring(
      (point) =>
        point.kind === 'sends' &&
        statement.startsWith(point.statement) &&
        this.#transaction === 'save' &&
        (this.#isMerging || !point.merging),
    );
    if (isCaught) this.#hold(this.#upstream);
    this.#isCommitting = statement === 'COMMIT';
  }

  #answer(chunk: Buffer): void {
    const isCommitted = this.#isCommitting && this.#held === undefined;
    const isAt = (kind: SavePoint['kind']) =>
      this.#spring((point) => point.kind === kind && 'of' in point && point.of === this.#transaction);
    if (isCommitted) {
      this.#isCommitting = false;
      if (isAt('answered')) this.#hold(this.#client);
    }
    this.#pass(chunk, this.#client);
    if (isCommitted) isAt('passed_on');
  }

  #hold(to: Socket): void {
    const held = { to, chunks: [] };
    this.#held = held;
    systemClock.after(HOLD_MS, () => {
      if (this.#held === held) this.#letGo();
    });
  }

  #letGo(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const chunk of held?.chunks ?? []) held?.to.write(chunk);
  }

  #pass(bytes: Buffer, to: Socket): void {
    if (this.#held?.to === to) this.#held.chunks.push(bytes);
    else if (!to.destroyed) to.write(bytes);
  }
}
