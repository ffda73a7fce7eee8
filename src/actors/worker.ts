/**
 * The worker's role: reads events_plugin_ingestion, finds each event its person, and writes rows. Whatever fails, it
 * recovers in one way: it drops what is in memory, takes its partitions again, and replays from the low end.
 *
 * Modes: running     records flow
 *        recovering  a session was closed; partitions are being taken again
 *        closing     what was read is finished, nothing more is read
 *        closed
 * Moves: running → recovering → running · running, recovering → closing → closed
 */
import { type Cancel, type Clock, sleep } from '../clock.ts';
import type { DerivePersonUuid } from '../event/ids.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics.ts';
import type { Assignment, EventLog, LogRecord, Subscription, TailHandle } from '../storage/event-log.ts';
import { FencedError, LogReplacedError, type PersonStore } from '../storage/person-store.ts';
import type { TeamStore } from '../storage/team-store.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';
import { Duplicates } from './duplicates.ts';
import type { HoldNotice, HoldReport } from './hold-report.ts';
import { HoldWatch } from './hold-watch.ts';
import type { Standing } from './lag-watch.ts';
import { InvariantError, Lifecycle, type Moves } from './lifecycle.ts';
import { openSession } from './open-session.ts';
import type { Session, WorkerLimits } from './session.ts';
import { startTail } from './tail.ts';
import { type Tenure, Tenures } from './tenure.ts';
import type { Transform } from './transforms.ts';
import { workerMetrics } from './worker-metrics.ts';

type Mode = 'running' | 'recovering' | 'closing' | 'closed';
const MOVES: Moves<Mode> = {
  running: ['recovering', 'closing'],
  recovering: ['running', 'closing'],
  closing: ['closed'],
  closed: [],
};

export interface WorkerOptions {
  readonly log: EventLog;
  /** Other processes may change persons, too: what they change is heard from the log. */
  readonly isShared: boolean;
  readonly persons: PersonStore;
  readonly teams: TeamStore;
  readonly clock: Clock;
  readonly derivePersonUuid: DerivePersonUuid;
  readonly deriveRecordUuid: (topic: string, partition: number, offset: number) => string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits: WorkerLimits;
  readonly personCacheBytesMax: number;
  /** How long an event of an unknown id is held; 0: not at all. */
  readonly holdMs: number;
  readonly holdBytesMax: number;
  /** Events are held; called once in a while. */
  readonly onHeld?: (notice: HoldNotice) => void;
  readonly transforms: readonly Transform[];
  /** An invariant is broken: the process has to end. */
  readonly onFault: (error: unknown) => void;
}

export interface WorkerHealth {
  readonly ok: boolean;
  readonly detail?: string;
}

export interface Worker {
  /** Only what a restart can mend makes it unhealthy. */
  health(): WorkerHealth;
  /** Whether records flow. */
  ready(): WorkerHealth;
  /** Resolves once every partition that it was given so far is taken: from then on records flow. */
  taken(): Promise<void>;
  /** Where it stands in each partition that it has taken. */
  standings(): readonly Standing[];
  /** Partitions that it was given and has not taken yet, for the first time or again. */
  untaken(): readonly number[];
  /** What the hold knows of an event: that it waits, or why it went on. */
  held(eventUuid: string): HoldReport | undefined;
  /** Finishes what was read, as far as `closeMs` goes, and saves the progress. */
  close(): Promise<void>;
  /** Stops at once, as a crash does: what has no row yet is replayed by the next owner. */
  abandon(): Promise<void>;
}

export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const worker = new LogWorker(options);
  await worker.start();
  return worker;
}

class LogWorker implements Worker {
  readonly #options: WorkerOptions;
  readonly #metrics;
  readonly #life = new Lifecycle<Mode>('worker', MOVES, 'running');
  readonly #tenures = new Tenures();
  readonly #holdWatch: HoldWatch;
  /** Of each partition: what was seen is not forgotten in a recovery. */
  readonly #duplicates = new Map<number, Duplicates>();
  #onTaken: (() => void)[] = [];
  #session: Session;
  #subscription: Subscription | undefined;
  #tail: TailHandle | undefined;
  #cancelProgress: Cancel = () => {};
  #failuresInARow = 0;
  #trouble: string | undefined;
  #stopped: string | undefined;
  /** Why this log is not read. */
  #refused: string | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#metrics = workerMetrics(options.metrics);
    this.#holdWatch = new HoldWatch({
      clock: options.clock,
      releasesMax: options.limits.releasesRememberedMax,
      noticeEveryMs: options.limits.holdNoticeEveryMs,
      onHeld: (notice) => options.onHeld?.(notice),
    });
    this.#session = this.#newSession();
  }

  async start(): Promise<void> {
    const { log, isShared } = this.#options;
    // Before anything is read from Postgres.
    if (isShared) this.#tail = await startTail(log, (news) => this.#session.hear(news));
    this.#subscription = await log.subscribe({
      group: 'worker',
      topics: [INGESTION_TOPIC],
      recordsMax: this.#options.limits.pollRecordsMax,
      onAssign: (assignment) => this.#assign(assignment),
      onRevoke: (assignment) => this.#revoke(assignment),
      onRecords: ({ partition }, records) => this.#receive(partition, records),
      onError: (error) => {
        this.#stopped = error.message;
        this.#options.logger.error({ error: error.message }, 'the worker no longer reads the log');
      },
    });
    this.#scheduleProgress();
  }

  health(): WorkerHealth {
    return this.#stopped === undefined ? { ok: true } : { ok: false, detail: this.#stopped };
  }

  ready(): WorkerHealth {
    const detail = this.#refused ?? this.#stopped ?? this.#trouble ?? this.#session.stalled;
    return detail === undefined ? { ok: true } : { ok: false, detail };
  }

  taken(): Promise<void> {
    if (this.#tenures.areTaken) return Promise.resolve();
    return new Promise((resolve) => this.#onTaken.push(resolve));
  }

  standings(): readonly Standing[] {
    return this.#session.standings();
  }

  untaken(): readonly number[] {
    return this.#tenures.in('assigned', 'retaking').map(({ assignment }) => assignment.partition);
  }

  held(eventUuid: string): HoldReport | undefined {
    return this.#session.findHeld(eventUuid) ?? this.#holdWatch.find(eventUuid);
  }

  async close(): Promise<void> {
    const { clock, limits, logger } = this.#options;
    this.#cancelProgress();
    const running = this.#life.is('running');
    this.#life.move('closing');
    this.#pauseAll();
    if (running) {
      for (const { life } of this.#tenures.in('taken')) life.move('draining');
      try {
        await Promise.race([this.#session.drain(), sleep(clock, limits.closeMs)]);
        await Promise.race([this.#session.saveProgress(), sleep(clock, limits.closeSaveMs)]);
        await Promise.race([this.#session.committed(), sleep(clock, limits.closeCommitMs)]);
      } catch (error) {
        logger.warn({ error: messageOf(error) }, 'progress could not be saved: more is replayed');
      }
    }
    this.#session.close();
    await Promise.all([this.#subscription?.close(), this.#tail?.close()]);
    this.#life.move('closed');
  }

  async abandon(): Promise<void> {
    this.#cancelProgress();
    this.#life.move('closing');
    this.#session.close();
    await Promise.all([this.#subscription?.close(), this.#tail?.close()]);
    this.#life.move('closed');
  }

  #newSession(): Session {
    const session: Session = openSession(this.#options, {
      holdWatch: this.#holdWatch,
      metrics: this.#metrics,
      duplicates: (partition) => this.#duplicatesOf(partition),
      pause: (at) => this.#subscription?.pause(at),
      resume: (at) => {
        if (this.#life.is('running')) this.#subscription?.resume(at);
      },
      commit: async (assignment, offset) => this.#subscription?.commit(assignment, offset),
      onFailure: (error) => {
        if (session === this.#session) this.#fail(error);
      },
    });
    return session;
  }

  #duplicatesOf(partition: number): Duplicates {
    const { duplicatesMax, duplicateWindowMs } = this.#options.limits;
    const known = this.#duplicates.get(partition) ?? new Duplicates(duplicatesMax, duplicateWindowMs);
    this.#duplicates.set(partition, known);
    return known;
  }

  #receive(partition: number, records: readonly LogRecord[]): void {
    if (this.#refused !== undefined) return;
    // Otherwise they come again: a recovery rewinds, and what is not finished at the end is replayed.
    if (this.#life.is('running')) this.#session.receive(partition, records);
  }

  async #assign(assignment: Assignment): Promise<number | 'committed'> {
    const tenure = this.#tenures.begin(assignment);
    const { life } = tenure;
    for (;;) {
      const session = this.#session;
      const start = await this.#acquire(session, tenure);
      if (this.#life.is('closing', 'closed') || this.#refused !== undefined) {
        this.#subscription?.pause(assignment);
        return 'committed';
      }
      if (life.is('revoked')) {
        session.forget(assignment);
        return 'committed';
      }
      if (session !== this.#session || start === undefined) continue;
      life.move('taken');
      if (this.#tenures.areTaken) for (const resolve of this.#onTaken.splice(0)) resolve();
      return start;
    }
  }

  /** Work of this partition may be joined with that of others: all of it starts anew. */
  #revoke(assignment: Assignment): void {
    if (!this.#tenures.end(assignment)) return;
    this.#duplicates.delete(assignment.partition);
    this.#recover('a partition was revoked', 0);
  }

  /** Asks until it is answered. `undefined`: the session or the tenure is over. */
  async #acquire(session: Session, { assignment, life }: Tenure): Promise<number | undefined> {
    const { clock, limits, logger } = this.#options;
    const isOver = () =>
      life.is('revoked') ||
      session !== this.#session ||
      this.#refused !== undefined ||
      this.#life.is('closing', 'closed');
    let backoffMs = limits.recoverBackoffMinMs;
    while (!isOver()) {
      try {
        return await session.acquire(assignment, isOver);
      } catch (error) {
        if (error instanceof LogReplacedError) this.#refuse(error);
        this.#trouble = messageOf(error);
        logger.warn({ error: this.#trouble, retryInMs: backoffMs }, 'a partition cannot be taken');
        await sleep(clock, backoffMs);
        backoffMs = Math.min(backoffMs * 2, limits.recoverBackoffMaxMs);
      }
    }
    return undefined;
  }

  #fail(error: unknown): void {
    if (error instanceof InvariantError) this.#options.onFault(error);
    else if (error instanceof LogReplacedError) this.#refuse(error);
    else {
      // Who was fenced hears a little later from the log that the partition is not its any more.
      const { fencedBackoffMs } = this.#options.limits;
      this.#recover(messageOf(error), error instanceof FencedError ? fencedBackoffMs : this.#nextBackoffMs());
    }
  }

  /** More after each failure, until progress is saved again. */
  #nextBackoffMs(): number {
    const { recoverBackoffMinMs, recoverBackoffMaxMs } = this.#options.limits;
    const backoffMs = Math.min(recoverBackoffMinMs * 2 ** this.#failuresInARow, recoverBackoffMaxMs);
    this.#failuresInARow += 1;
    return backoffMs;
  }

  /** Nothing is read of a log that is not the one that was read before, until somebody says that it may be. */
  #refuse({ message }: LogReplacedError): void {
    if (this.#refused !== undefined) return;
    this.#refused =
      `the log was deleted and made again (${message}): stop, accept it with ` +
      '`npm run migrate -- --accept-new-log`, and start again';
    this.#options.logger.error({ error: this.#refused }, 'the worker does not read this log');
    this.#pauseAll();
    this.#session.close();
  }

  #recover(reason: string, backoffMs: number): void {
    if (!this.#life.is('running') || this.#refused !== undefined) return;
    this.#life.move('recovering');
    this.#trouble = reason;
    this.#metrics.recoveries.inc();
    this.#options.logger.warn({ reason }, 'what is in memory is dropped, and replayed from the log');
    void this.#replay(backoffMs).catch((error) => this.#options.onFault(error));
  }

  async #replay(backoffMs: number): Promise<void> {
    this.#pauseAll();
    this.#session.close();
    await sleep(this.#options.clock, backoffMs);
    this.#session = this.#newSession();
    const starts = new Map<Tenure, number>();
    // Those as well that are given to us meanwhile: what comes of them is not received before the end.
    for (let some = this.#untaken(starts); some.length > 0; some = this.#untaken(starts)) {
      const taken = await Promise.all(some.map((tenure) => this.#retake(tenure, starts)));
      if (taken.includes(false)) return;
    }
    for (const { assignment, life } of starts.keys()) {
      if (life.is('revoked')) this.#session.forget(assignment);
    }
    if (!this.#life.is('recovering')) return;
    this.#life.move('running');
    for (const [{ assignment, life }, start] of starts) {
      if (life.is('revoked')) continue;
      life.move('taken');
      this.#subscription?.rewind(assignment, start);
      this.#subscription?.resume(assignment);
    }
  }

  #untaken(starts: ReadonlyMap<Tenure, number>): readonly Tenure[] {
    return this.#tenures.in('taken', 'retaking').filter((tenure) => !starts.has(tenure));
  }

  /** False: the worker reads no more. */
  async #retake(tenure: Tenure, starts: Map<Tenure, number>): Promise<boolean> {
    if (tenure.life.is('taken')) tenure.life.move('retaking');
    const start = await this.#acquire(this.#session, tenure);
    if (start !== undefined) starts.set(tenure, start);
    return start !== undefined || tenure.life.is('revoked');
  }

  #pauseAll(): void {
    for (const { assignment } of this.#tenures.in('taken')) this.#subscription?.pause(assignment);
  }

  #scheduleProgress(): void {
    this.#cancelProgress = this.#options.clock.after(this.#options.limits.progressEveryMs, () => {
      void this.#saveProgress().finally(() => {
        if (!this.#life.is('closing', 'closed')) this.#scheduleProgress();
      });
    });
  }

  async #saveProgress(): Promise<void> {
    if (!this.#life.is('running') || this.#refused !== undefined) return;
    const session = this.#session;
    try {
      await session.saveProgress();
      // Not as soon as records flow again: the next save may fail as the last one did.
      if (session !== this.#session || !session.isWell) return;
      this.#failuresInARow = 0;
      this.#trouble = undefined;
    } catch (error) {
      if (session === this.#session) this.#fail(error);
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
