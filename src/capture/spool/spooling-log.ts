/**
 * The way onto the log for a capture process whose log may be away: what the log does not take goes to the disk, and from
 * there to the log before anything newer of this process. `lifecycle.ts` has the modes.
 */
import { type Cancel, type Clock, within } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import {
  type AppendRecord,
  type EventLog,
  LogFullError,
  LogUnavailableError,
} from '../../storage/event-log.ts';
import { Drain, type DrainLimits, StoppedError } from './drain.ts';
import { SpoolLifecycle, type SpoolMode } from './lifecycle.ts';
import type { Spool, SpoolDepth } from './spool.ts';

export interface SpoolingLimits extends DrainLimits {
  readonly appendTimeoutMs: number;
  readonly switchBytesMax: number;
  readonly switchTimeoutMs: number;
  readonly closeMs: number;
}

export interface SpoolingLogOptions {
  readonly log: Pick<EventLog, 'append'>;
  readonly spool: Spool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: SpoolingLimits;
  readonly onDeadLetter: () => void;
  readonly onDamaged: (bytes: number) => void;
}

/** An append that somebody waits for. */
interface Flight {
  readonly records: readonly AppendRecord[];
  /** Monotonic; set when it goes to the log. */
  deadline: number;
  resolve(): void;
  reject(error: unknown): void;
}

export class SpoolingLog {
  readonly #options: SpoolingLogOptions;
  readonly #lifecycle: SpoolLifecycle;
  readonly #drain: Drain;
  /** On their way to the log, in the order in which they came. */
  readonly #flights = new Set<Flight>();
  /** While switching, in the order in which they came. */
  #waiting: Flight[] = [];
  #giveUp = new AbortController();
  #cancelWatch: Cancel | undefined;
  #cancelSwitch: Cancel = () => {};
  #isClosed = false;

  constructor(options: SpoolingLogOptions) {
    const { log, spool } = options;
    this.#options = options;
    this.#drain = new Drain({ ...options, append: (records) => log.append(records) });
    this.#lifecycle = new SpoolLifecycle(spool.depth().events === 0);
    if (this.mode === 'spooling') void this.#empty();
  }

  get mode(): SpoolMode {
    return this.#lifecycle.mode;
  }

  depth(): SpoolDepth {
    return this.#options.spool.depth();
  }

  /** Why events are refused, or would be if the log were away. */
  trouble(): string | undefined {
    return this.#options.spool.trouble();
  }

  /**
   * Resolves once every record is durable, on the log or on the disk. Of two appends of one key the earlier one is first on
   * the log as well. Rejects with `LogFullError`, `SpoolFullError` or `SpoolFailedError`: try again later.
   */
  append(records: readonly AppendRecord[]): Promise<void> {
    if (this.#isClosed) return Promise.reject(new LogUnavailableError('The spool is closed.'));
    return new Promise((resolve, reject) => this.#take({ records, deadline: 0, resolve, reject }));
  }

  /** What is on the disk stays there for the next process. */
  async close(): Promise<void> {
    const { clock, limits, spool } = this.#options;
    this.#isClosed = true;
    this.#cancelWatch?.();
    this.#cancelSwitch();
    this.#drain.stop();
    const unanswered = [...this.#flights, ...this.#waiting];
    this.#flights.clear();
    this.#waiting = [];
    for (const { reject } of unanswered) reject(new LogUnavailableError('The spool is closed.'));
    await within(clock, limits.closeMs, spool.close());
  }

  #take(flight: Flight): void {
    switch (this.mode) {
      case 'direct':
        this.#send(flight);
        break;
      case 'spooling':
        this.#keep(flight);
        break;
      case 'switching':
        this.#waiting.push(flight);
    }
  }

  #keep({ records, resolve, reject }: Flight): void {
    this.#options.spool.append(records).then(resolve, reject);
  }

  #send(flight: Flight): void {
    const { log, clock, limits } = this.#options;
    flight.deadline = clock.monotonic() + limits.appendTimeoutMs;
    this.#flights.add(flight);
    this.#watch();
    log.append(flight.records, this.#giveUp.signal).then(
      () => {
        this.#flights.delete(flight);
        // Also when it is on its way to the disk by now: it is durable.
        flight.resolve();
      },
      (error: unknown) => {
        if (!this.#flights.has(flight)) return;
        if (error instanceof LogFullError) {
          this.#flights.delete(flight);
          flight.reject(error);
        } else this.#spoolAll(error);
      },
    );
  }

  /** Those that came later go to the disk as well: else one of them could be on the log before it. */
  #spoolAll(error: unknown): void {
    const { logger } = this.#options;
    const flights = [...this.#flights];
    this.#flights.clear();
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    // What has not been sent yet is not sent; what has been may come twice, with the same uuid.
    this.#giveUp.abort();
    this.#giveUp = new AbortController();
    logger.warn(
      { error: String(error), records: flights.length },
      'the log does not take events: they go to the spool',
    );
    this.#lifecycle.move('spooling');
    for (const flight of flights) this.#keep(flight);
    void this.#empty();
  }

  #watch(): void {
    const { clock, limits } = this.#options;
    const [oldest] = this.#flights;
    if (this.#cancelWatch !== undefined || oldest === undefined) return;
    this.#cancelWatch = clock.after(oldest.deadline - clock.monotonic(), () => {
      this.#cancelWatch = undefined;
      const [first] = this.#flights;
      if (first === undefined) return;
      if (first.deadline > clock.monotonic()) this.#watch();
      else this.#spoolAll(new LogUnavailableError(`no answer within ${limits.appendTimeoutMs} ms`));
    });
  }

  /** Until the log has everything, or the process is being stopped. */
  async #empty(): Promise<void> {
    const { spool, limits, logger } = this.#options;
    try {
      while (!this.#isClosed) {
        const segment = await spool.oldest();
        if (segment !== undefined) await this.#drain.drain(segment);
        if (this.#isClosed) return;
        if (this.mode === 'spooling' && spool.depth().bytes <= limits.switchBytesMax) this.#beginSwitch();
        else if (this.mode === 'switching' && segment === undefined) {
          this.#endSwitch('direct');
          return;
        }
      }
    } catch (error) {
      if (error instanceof StoppedError) return;
      logger.error(
        { error: error instanceof Error ? error.stack : String(error) },
        'the spool is not drained',
      );
      throw error;
    }
  }

  #beginSwitch(): void {
    const { clock, limits } = this.#options;
    this.#lifecycle.move('switching');
    this.#cancelSwitch = clock.after(limits.switchTimeoutMs, () => this.#endSwitch('spooling'));
  }

  #endSwitch(to: 'direct' | 'spooling'): void {
    this.#cancelSwitch();
    this.#lifecycle.move(to);
    const waiting = this.#waiting;
    this.#waiting = [];
    if (to === 'direct') this.#options.logger.info({}, 'the spool is drained: events go to the log again');
    for (const flight of waiting) this.#take(flight);
  }
}
